"""What a reader has chosen at the top of a dashboard, and expressions over it."""

from __future__ import annotations

from fairlead.contracts import control_telemetry
from fairlead.contracts.telemetry import Metric
from monitoring.panels import Query, Variable
from monitoring.promql import rate, series, total
from monitoring.recording import Records

STEP = "$__rate_interval"
"""The window of rates that are not recorded. Grafana takes at least four scrape intervals."""
NAMESPACE = {"namespace": "~$namespace"}
OF_MODEL = {**NAMESPACE, "model": "~$model"}
OF_VERSION = {**OF_MODEL, "version": "~$version"}
OF_FEATURE = {**OF_VERSION, "feature": "$feature", "slice": ""}
"""One feature of all rows, and no pattern: `x[0]` is the name of one."""


def variables(records: Records, *names: str, one: tuple[str, ...] = ()) -> tuple[Variable, ...]:
    """The choices with these names; each one narrows those after it. Of those in `one` only one value can be chosen:
    a dashboard whose lines are called by their version would mix two models up."""
    weight = control_telemetry.CONTROL_WEIGHT
    # Models of a further namespace have no leader there. A dashboard of the platform itself has no models to choose.
    of_models = "model" in names
    found = {
        "namespace": f"label_values({series(weight if of_models else control_telemetry.CONTROL_LEADER)}, namespace)",
        "model": f"label_values({series(weight, **NAMESPACE)}, model)",
        "version": f"label_values({chosen(records.requests, **OF_MODEL)}, version)",
        "feature": f"label_values({chosen(records.drift[0].reference.rows, **OF_VERSION)}, feature)",
    }
    return tuple(Variable(name, found[name], several=name not in one) for name in names)


def chosen(record: str, **matchers: str) -> str:
    """A recorded series, of the chosen namespace, model and so on.

    `~` before a value: matches; `!~`: does not; `!=`: is another.
    """
    inner = ",".join(f"{label}{_compared(value)}" for label, value in matchers.items())
    return f"{record}{{{inner}}}"


def _compared(value: str) -> str:
    for prefix, operator in (("!~", "!~"), ("!=", "!="), ("~", "=~")):
        if value.startswith(prefix):
            return f'{operator}"{value.removeprefix(prefix)}"'
    return f'="{value}"'


def releases(**matchers: str) -> Query:
    """An annotation at each new revision."""
    return Query(f"changes({series(control_telemetry.CONTROL_REVISION, **matchers)}[1m]) > 0", "new revision")


def mean(metric: Metric, *labels: str, **matchers: str) -> str:
    """The mean of a histogram: its sum by its count."""
    above, below = (total(rate(series(metric, suffix, **matchers), STEP), *labels) for suffix in ("_sum", "_count"))
    return f"{above} / ({below} > 0)"


def quantile(share: float, metric: Metric, *labels: str, **matchers: str) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({share:g}, {total(rate(series(metric, '_bucket', **matchers), STEP), *labels, 'le')})"

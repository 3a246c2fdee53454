"""Writes metrics in Prometheus' text format by hand: ten thousand series take a millisecond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.contracts.telemetry import Metric

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def head(metric: Metric) -> str:
    """The two lines before the samples of a family."""
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"


class Exposition:
    """Writes the metrics of one model version. Labels are given without those of the version."""

    def __init__(self, model: str, version: str) -> None:
        self._identity = (model, version)

    def family(self, metric: Metric, samples: Iterable[tuple[Sequence[str], float]]) -> str:
        """All lines of a family that is no histogram."""
        return head(metric) + "".join(f"{self.series(metric, labels)} {value:.15g}\n" for labels, value in samples)

    def histogram(self, metric: Metric, counts: Sequence[float], total: float) -> str:
        """All lines of a histogram, from its buckets, which are not cumulative, and the sum of what was observed."""
        lines, count = [head(metric)], 0.0
        for bound, more in zip((*metric.buckets, float("inf")), counts, strict=True):
            count += more
            le = f'le="{"+Inf" if bound == float("inf") else f"{bound:g}"}"'
            lines.append(f"{self._written(metric, '_bucket', (), le)} {count:.15g}\n")
        lines.append(f"{self._written(metric, '_sum', ())} {total:.15g}\n")
        lines.append(f"{self._written(metric, '_count', ())} {count:.15g}\n")
        return "".join(lines)

    def series(self, metric: Metric, labels: Sequence[str]) -> str:
        """The name and the labels of one series."""
        return self._written(metric, "", labels)

    def _written(self, metric: Metric, suffix: str, labels: Sequence[str], *more: str) -> str:
        values = zip(metric.labels, (*self._identity, *labels), strict=True)
        shown = ",".join([*(f'{name}="{value.translate(_ESCAPED)}"' for name, value in values), *more])
        return f"{metric.name}{suffix}{{{shown}}}"

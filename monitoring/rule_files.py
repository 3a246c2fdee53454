"""The rule files of Prometheus, as documents and as text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import yaml

from monitoring.alert import Alert
from monitoring.alerting import alerts
from monitoring.recording import Records
from monitoring.settings import Settings, shortened

HEAD = "# Written by `python -m monitoring`; change monitoring/*.py instead.\n"


def recording_rules(settings: Settings) -> dict[str, Any]:
    """The document of the recording rules."""
    groups = [
        {
            "name": f"fairlead-{name}",
            **({"interval": every} if every else {}),
            "rules": [{"record": one.name, "expr": one.expression} for one in found],
        }
        for (name, every), found in groupby(Records(settings).every, key=lambda one: (one.group, one.every))
    ]
    return {"groups": groups}


def alerting_rules(settings: Settings) -> dict[str, Any]:
    """The document of the alerts."""
    rules = [_rule(one, settings) for one in alerts(Records(settings))]
    return {"groups": [{"name": "fairlead-alerts", "rules": rules}]}


def runbook(name: str, settings: Settings) -> str:
    """The address of an alert's page."""
    return f"{settings.runbooks}/{name}.md"


def text(document: Mapping[str, Any]) -> str:
    """A rule file."""
    return HEAD + yaml.safe_dump(dict(document), sort_keys=False, width=110, allow_unicode=True)


def _rule(alert: Alert, settings: Settings) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": shortened(alert.wait, settings.faster),
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": runbook(alert.name, settings)},
    }

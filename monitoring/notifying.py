"""What Alertmanager does with the alerts: who is told, what is told together, and which alerts need no message.

An alert that another one explains is inhibited: whoever is woken because a model is down learns nothing from its error
budget. A cause and its effects are compared by the labels of the scope that they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from monitoring.alert import Severity
from monitoring.rule_files import HEAD

RECEIVERS: Mapping[Severity, str] = {"page": "fairlead-page", "ticket": "fairlead-ticket", "info": "fairlead-info"}
"""Of each severity the receiver, which the installation defines."""
REPEATED: Mapping[Severity, str] = {"page": "1h", "ticket": "24h", "info": "24h"}
GROUP = ("namespace", "model")
"""One message has all alerts of a model, of both versions: they belong to one rollout."""
PLATFORM, MODEL, VERSION = ("namespace",), ("namespace", "model"), ("namespace", "model", "version")
_ROLLOUTS = ("FairleadRolloutStuck", "FairleadRolloutAwaitsApproval", "FairleadRolloutNotCounted")
EXPLAINED: Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]] = (
    (
        "FairleadModelDown",
        (
            "FairleadErrorBudgetBurnsFast",
            "FairleadErrorBudgetBurnsSlowly",
            "FairleadAnswersSlow",
            "FairleadDegraded",
        ),
        MODEL,
    ),
    ("FairleadErrorBudgetBurnsFast", ("FairleadErrorBudgetBurnsSlowly",), MODEL),
    ("FairleadNoLeader", ("FairleadEngineStopped", "FairleadGatewayBehind", *_ROLLOUTS), PLATFORM),
    ("FairleadEngineStopped", ("FairleadGatewayBehind", *_ROLLOUTS), PLATFORM),
    ("FairleadGatewayRefusesConfiguration", ("FairleadGatewayBehind",), PLATFORM),
    ("FairleadPublicationRefused", ("FairleadGatewayBehind",), PLATFORM),
    ("FairleadLoadNotMeasured", ("FairleadAutoscalerFallback",), VERSION),
    ("FairleadDriftBinsMissing", ("FairleadFeatureDrift", "FairleadPredictionDrift"), VERSION),
)
"""Causes, the alerts that need no message while a cause fires, and the labels that must be the same."""


def configuration() -> dict[str, Any]:
    """A whole configuration of Alertmanager. Its receivers tell nobody: an installation gives them its channels."""
    routes = [
        {
            "receiver": RECEIVERS[severity],
            "matchers": [f'severity="{severity}"'],
            "group_wait": "10s" if severity == "page" else "1m",
            "repeat_interval": REPEATED[severity],
        }
        for severity in RECEIVERS
    ]
    ours = {"matchers": ['alertname=~"Fairlead.+"'], "group_by": list(GROUP), "group_interval": "5m", "routes": routes}
    return {
        "route": {"receiver": "default", "routes": [ours]},
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="{cause}"'],
                "target_matchers": [f'alertname=~"{"|".join(effects)}"'],
                "equal": list(labels),
            }
            for cause, effects, labels in EXPLAINED
        ],
        "templates": ["fairlead.tmpl"],
        "receivers": [{"name": name} for name in ("default", *RECEIVERS.values())],
    }


def text() -> str:
    """The file of the configuration."""
    return HEAD + yaml.safe_dump(configuration(), sort_keys=False, width=110)

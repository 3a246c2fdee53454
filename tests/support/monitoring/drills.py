"""The drills: what goes wrong with a model, which alert must say so, and which others may."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from support.faults import folders
from support.monitoring.stage import DRIFTED, NEXT, RATE, STUCK, WAITING, Stage
from support.processes import wait_until

TIRED_MS = 400
"""How long a call takes of a model that cannot keep up."""


@dataclass(frozen=True)
class Drill:
    """`begin` makes the model of this name misbehave. `alerts` must fire for it; `others` are effects, and may."""

    model: str
    what: str
    begin: Callable[[Stage], None]
    alerts: tuple[str, ...]
    others: tuple[str, ...] = ()
    minutes: float = 10
    """How long the longest of its alerts waits, before it is made faster."""


def _bad_version(stage: Stage) -> None:
    folders.behave(stage.folder("bad", NEXT), fail=0.5)
    _released(stage, "bad")


def _drift(stage: Stage) -> None:
    stage.load(DRIFTED, shift=4.0, strange=0.3)


def _down(stage: Stage) -> None:
    folders.behave(stage.folder("down"), broken=True)
    os.kill(stage.process("down"), signal.SIGKILL)


def _quiet(stage: Stage) -> None:
    stage.quiet("quiet")


def _silent(stage: Stage) -> None:
    """One of two instances no longer runs, and nothing says so: it is stopped, not ended."""
    pid = stage.process("silent")
    stage.ended.callback(_continue, pid)
    os.kill(pid, signal.SIGSTOP)


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _full(stage: Stage) -> None:
    folders.behave(stage.folder("full"), delay_ms=TIRED_MS)
    stage.load("full", rate=4 * RATE)


def _burning(stage: Stage) -> None:
    folders.behave(stage.folder("burning"), fail=0.2)


def _hanging(stage: Stage) -> None:
    """A call of the model does not return, and the time for one passes."""
    stage.ended.callback(folders.behave, stage.folder("hanging"))
    folders.behave(stage.folder("hanging"), hang=True)


def _released(stage: Stage, model: str) -> None:
    stage.platform.command("release", model, NEXT, "--skip-check")


def _unmeasured(stage: Stage) -> None:
    stage.unscraped("unmeasured")


_DOWN_TOO = ("FairleadErrorBudgetBurnsFast", "FairleadErrorBudgetBurnsSlowly", "FairleadDegraded", "FairleadTargetDown")
_SLOW_TOO = ("FairleadAnswersSlow", "FairleadErrorBudgetBurnsFast", "FairleadErrorBudgetBurnsSlowly")
DRILLS: Sequence[Drill] = (
    Drill("bad", "a bad version is released", _bad_version, ("FairleadTargetRejected",)),
    Drill(
        DRIFTED,
        "the inputs are two standard deviations off, and three in ten of a new category",
        _drift,
        ("FairleadFeatureDrift", "FairleadPredictionDrift", "FairleadVectorDrift", "FairleadNewCategories"),
        minutes=90,
    ),
    Drill(
        STUCK,
        "a step needs more requests than come",
        lambda stage: _released(stage, STUCK),
        ("FairleadRolloutStuck",),
        minutes=60,
    ),
    Drill("down", "stable is killed and does not start", _down, ("FairleadModelDown",), (*_DOWN_TOO, *_SLOW_TOO), 1),
    Drill("quiet", "nobody asks any more", _quiet, ("FairleadNoTraffic",)),
    Drill(
        "silent",
        "one of two instances hangs",
        _silent,
        ("FairleadTargetDown", "FairleadDegraded"),
        (*_DOWN_TOO, *_SLOW_TOO),
    ),
    Drill(
        "full", "four times the load, and slow calls", _full, ("FairleadQueueFull", "FairleadAnswersSlow"), _SLOW_TOO
    ),
    Drill(
        "burning",
        "a fifth of the answers are errors",
        _burning,
        ("FairleadErrorBudgetBurnsFast", "FairleadErrorBudgetBurnsSlowly"),
        minutes=2,
    ),
    Drill(
        "hanging",
        "a call does not return",
        _hanging,
        ("FairleadInstanceFailed",),
        ("FairleadModelDown", "FairleadQueueFull", *_DOWN_TOO, *_SLOW_TOO),
        60,
    ),
    Drill(
        WAITING,
        "nobody approves a step",
        lambda stage: _released(stage, WAITING),
        ("FairleadRolloutAwaitsApproval",),
        minutes=60,
    ),
    Drill("unmeasured", "no autoscaler can read the load", _unmeasured, ("FairleadLoadNotMeasured",)),
)
INSTANCES = {"silent": 2}
_KEDA = "no KEDA is there: the proof `autoscaling` takes away what a real one reads"
_FAULT = "a defect of ours or of Prometheus' configuration would have to be made first"
_ALL = "it is about the whole platform, so each of the models would have its effects"
NOT_DRILLED: Mapping[str, str] = {
    "FairleadAutoscalerFallback": _KEDA,
    "FairleadAutoscalerAtMaximum": _KEDA,
    "FairleadRolloutNotCounted": _ALL,
    "FairleadCandidateNoTraffic": _FAULT,
    "FairleadCandidateInputsDiffer": _FAULT,
    "FairleadDriftNotMeasured": _FAULT,
    "FairleadDriftBinsMissing": _FAULT,
    "FairleadMissingValues": "it is the same rule as FairleadNewCategories, of another counter",
    "FairleadQualityLow": "labels are counted over a day: tests/integration/platform/test_quality_rules.py has them",
    "FairleadGatewayDown": f"{_ALL}: the proof `kills` kills it",
    "FairleadGatewayRefusesConfiguration": _FAULT,
    "FairleadGatewayBehind": _ALL,
    "FairleadGatewayShedsLoad": _ALL,
    "FairleadQuotaNearlyUsed": "a quota lasts a day: tests/integration/routing/test_quotas.py uses one up",
    "FairleadNoLeader": _ALL,
    "FairleadEngineStopped": _ALL,
    "FairleadPublicationRefused": _FAULT,
}
"""The alerts without a drill, and why. promtool has series for which each of them fires, and others."""


def release(stage: Stage, model: str) -> None:
    """Release the next version of a model, and wait until it has a share of the requests."""
    stage.platform.command("release", model, NEXT, "--skip-check")
    stage.platform.wait_for(model, "the release has its first share", weight=2000)


def promoted(stage: Stage, model: str) -> None:
    """Wait until the next version has all requests."""
    wait_until(lambda: stage.platform.head(model).table.stable.version == NEXT, "the release is promoted", within=120)

"""Measures how long users still reach a version after `fairlead rollback` was accepted, on a platform under load."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from support import proof
from support.load.open_loop import OpenLoop
from support.load.summary import Summary, moment
from support.platform import Platform, doublers, running_platform, users

TITLE = "`fairlead rollback` under load"
STABLE, CANDIDATE = "1.0.0", "1.1.0"
MODEL = "doubler"
STRATEGY = {"steps": [{"weight": 5000, "minDuration": "2s"}], "minRequests": 0}
MAX_LAST_ANSWER_S, MAX_START_UP_S = 1.0, 0.5


@dataclass(frozen=True)
class Plan:
    """The number of rollbacks, the load, and its maximum duration in seconds."""

    times: int
    rate: float
    seconds: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(20, 200, 300), "reduced": Plan(2, 100, 30)}


@dataclass(frozen=True)
class Command:
    """One rollback, as measured around the command. Moments are those of time.time_ns()."""

    phase: str
    started: int
    accepted: int
    ended: int
    revision: str


def roll_back(platform: Platform, *, promoted: bool) -> Command:
    """Wait until the candidate has its users (`promoted`: all of them), then roll back."""
    if promoted:
        platform.wait_for(MODEL, "the candidate is stable", stable=CANDIDATE, candidate=None)
    else:
        platform.wait_for(MODEL, "the candidate has its share", candidate=CANDIDATE, weight=5000)
    time.sleep(0.3)  # some users must have reached the candidate
    started = time.time_ns()
    action = json.loads(platform.command("rollback", MODEL, "--json"))
    ended = time.time_ns()
    accepted = moment(datetime.fromisoformat(action["createdAt"]))
    return Command("promoted" if promoted else "canary", started, accepted, ended, f"{MODEL}.{action['revision']}")


def measure(platform: Platform, plan: Plan) -> tuple[list[Command], Summary]:
    """Roll back in turn during the canary and after the promotion, under one load.

    From the second time on, the candidate needs a retry, because a rolled-back version is not released again.
    """
    commands = []
    with OpenLoop(platform.url, rate=plan.rate, seconds=plan.seconds, request=users(MODEL)) as load:
        platform.command("release", MODEL, CANDIDATE, "--skip-check")
        for turn in range(plan.times):
            if turn:
                platform.command("retry", MODEL)
            commands.append(roll_back(platform, promoted=turn % 2 == 1))
            platform.wait_for(MODEL, "all users are back on stable", stable=STABLE, candidate=None)
        time.sleep(1.5)  # long enough to see a late response of the last rollback
    return commands, load.result()


@dataclass(frozen=True)
class Measured:
    """The durations of one rollback, in seconds."""

    phase: str
    last_answer_s: float
    start_up_s: float
    whole_command_s: float


def times(commands: list[Command], summary: Summary) -> list[Measured]:
    """The durations of each rollback. Responses of the candidate count only until its next attempt begins."""
    replied = summary.of_version(CANDIDATE).replied
    found = []
    for command in commands:
        late = replied[(replied > command.accepted) & (replied < _next_attempt(summary, command))]
        last_s = (int(late.max()) - command.accepted) / 1e9 if len(late) else 0.0
        start_up_s, whole_s = ((at - command.started) / 1e9 for at in (command.accepted, command.ended))
        found.append(Measured(command.phase, round(last_s, 4), round(start_up_s, 4), round(whole_s, 4)))
    return found


def judge(measured: list[Measured], summary: Summary, size: proof.Size) -> proof.Findings:
    """The claims. The start-up of the command is only claimed at full size, which runs on a quiet machine."""
    found = proof.Findings()
    last, start_up = [one.last_answer_s for one in measured], [one.start_up_s for one in measured]
    what = f"accepted -> last answer by the rolled-back version, slowest of {len(last)}, s"
    found.claim(what, f"at most {MAX_LAST_ANSWER_S:g}", f"{max(last):.3f}", max(last) <= MAX_LAST_ANSWER_S)
    found.note("the same, median, s", f"{statistics.median(last):.3f}")
    if size == "full":
        quick, target = max(start_up) < MAX_START_UP_S, f"below {MAX_START_UP_S:g}"
        found.claim("the command's own start-up, slowest, s", target, f"{max(start_up):.3f}", quick)
    found.note("the command's own start-up, median, s", f"{statistics.median(start_up):.3f}")
    found.claim(f"failed of {summary.sent}", "0", summary.failures or 0, not summary.failed)
    met = summary.by_version.get(CANDIDATE, 0)
    found.claim("answers by the candidate in all", "some", met, met > 0)
    found.numbers |= {"rollbacks": [asdict(one) for one in measured], "load": summary.to_json()}
    return found


def _next_attempt(summary: Summary, command: Command) -> int:
    """The moment of the first response with a later revision: from then on the candidate may answer again."""
    number = int(command.revision.rpartition(".")[2])
    later = [name for name in summary.revisions if int(name.rpartition(".")[2]) > number]
    firsts = [summary.of_revision(name).first_reply() for name in later]
    return min([first for first in firsts if first is not None], default=2**62)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Two versions of one model, one instance each."""
    with running_platform(folder, doublers(folder, STABLE, CANDIDATE, model=MODEL, strategy=STRATEGY)) as platform:
        commands, summary = measure(platform, PLANS[size])
    return judge(times(commands, summary), summary, size)


if __name__ == "__main__":
    proof.run("rollback", TITLE, prove)

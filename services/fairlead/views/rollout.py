"""A route's status in words: its phase, weights, steps, gateways and counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fairlead.contracts.revision import Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.status import Evidence, Reason, Status, StepStatus
from fairlead.views.amounts import ago, percent, share


def phase(status: Status) -> str:
    """The phase; `Starting` before the first revision."""
    return ("Paused " if status.paused else "") + (status.phase.value if status.phase else "Starting")


def weight(status: Status) -> str:
    """The candidate's weight, and what it gets where the gate `share` says that this is something else."""
    if status.candidate is None:
        return "-"
    is_far = any(check.gate == "share" and check.verdict is not Verdict.PASS for check in status.checks)
    return percent(status.weight) + (f" (gets {share(status.share)})" if is_far and status.share is not None else "")


def shares(status: Status) -> str:
    """The weights of both versions during a rollout: `1.0.0 90 %, 1.1.0 10 %`."""
    return f"{status.stable} {percent(TOTAL_WEIGHT - status.weight)}, {status.candidate} {percent(status.weight)}"


def step(status: Status) -> str:
    """The step and how many there are: `1/3`."""
    return f"{status.step.number}/{status.step.of}" if status.step else "-"


def programmed(status: Status) -> str:
    """Whether the gateways serve the newest revision, by the condition Programmed."""
    condition = status.condition("Programmed")
    if condition is None:
        return "-"
    away, known = sum(not one.reachable for one in status.gateways), len(status.gateways)
    if condition.status and away:
        return f"{away} of {known} unreachable"
    return _GATEWAY.get(condition.reason, condition.reason)


_GATEWAY: dict[str, str] = {
    Reason.ACKNOWLEDGED: "programmed",
    Reason.BEHIND: "behind",
    Reason.REJECTED: "rejected",
    Reason.NO_GATEWAY: "unreachable",
}


def progress(status: Status, now: datetime) -> Iterator[str]:
    """For how long the rollout has been in its step, what comes next, and what the candidate really got."""
    if status.step and status.step.number:
        entered = datetime.fromisoformat(status.step.entered_at)
        yield f"in this step for {ago(entered, now)}; next: {_next(status.step)}"
    if status.share is not None:
        yield f"in this step {status.candidate} got {share(status.share)} of the requests"


def _next(step: StepStatus) -> str:
    return percent(step.next_weight) if step.number < step.of else "the promotion"


def problems(status: Status, said: str) -> Iterator[str]:
    """Rows that differ between the versions, versions that are not tried again, gateways that refused their
    configuration, and versions without pods. Without the rejection that `said`, what it waits for, has in full."""
    inputs = status.condition("InputsDiffer")
    if inputs is not None and inputs.status:
        yield inputs.message
    for rejected in status.rejected:
        revision = f"revision {status.route}.{rejected.revision}"
        if f"rejected in {revision} ({rejected.reason})" not in said:
            yield f"rejected: {rejected.ref} in {revision}: {rejected.reason}"
    for gateway in status.gateways:
        if gateway.rejected:
            yield f"gateway {gateway.name} rejected the configuration: {gateway.rejected}"
    for one in status.wanted:
        if one.present == one.instances == 0:
            yield f"no instances of {one.ref}: {one.reason}"


def ready(status: Status) -> str:
    """The ready instances by role, and whether a rollback is possible."""
    counts = ", ".join(f"{role} {count}" for role, count in status.ready.items())
    return f"ready instances: {counts or 'none'}; ready to roll back: {_rollback(status)}"


def _rollback(status: Status) -> str:
    """Whether `rollback` without `--to` has a version that takes the load; `--to` may have one where it has not."""
    if status.rollback_ready:
        return "yes"
    if status.returnable:
        return f"only with --to {' or '.join(status.returnable)}"
    return "no version before it; another ready one with --to VERSION"


def counts(status: Status) -> Iterator[str]:
    """What was counted in this attempt; nothing if no window was."""
    if status.evidence.windows:
        yield _counted(status.evidence)
        yield from _failed(status.evidence)


def _counted(counted: Evidence) -> str:
    text = f"counted in this attempt: candidate {counted.candidate.bad} failed of {counted.candidate.n}, "
    text += f"stable {counted.stable.bad} of {counted.stable.n}; "
    text += f"{counted.unserved} of {counted.assigned} requests assigned to the candidate were not served by it"
    return text + (f"; {counted.gaps} of {counted.windows} windows are gaps" if counted.gaps else "")


def _failed(counted: Evidence) -> Iterator[str]:
    """One line for each version whose requests failed or were rejected: how many, in which way."""
    arms = (
        ("candidate", counted.failures.candidate, counted.rejections.candidate),
        ("stable", counted.failures.stable, counted.rejections.stable),
    )
    for name, failures, rejections in arms:
        ways = {
            "timed out by the gateway": failures.timed_out,
            "refused, reset or without an answer": failures.unanswered,
            "answered 5xx or 429": failures.server_errors,
            "rejected (other 4xx)": rejections.bad,
        }
        if told := ", ".join(f"{count} {way}" for way, count in ways.items() if count):
            yield f"{name}: {told}"

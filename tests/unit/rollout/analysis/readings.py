"""Readings of one gateway, as tests of the estimator need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fairlead.contracts.gateway import Role, key_of
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table
from fairlead.rollout.ports import Reading

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STABLE, CANDIDATE = (VersionSpec().ref(name) for name in ("1.0.0", "1.1.0"))
TABLE = Table(model="iris", attempt=1, stable=STABLE, candidate=CANDIDATE, weight=2000, pins=(STABLE, CANDIDATE))
S, M = (key_of(Role.SPLIT, TABLE, ref) for ref in (STABLE, CANDIDATE))
A = key_of(Role.AGGREGATE, TABLE, CANDIDATE)


def a_reading(
    gateway: str = "e1",
    *,
    at: float = 0,
    uptime_s: float | None = None,
    endpoints: dict[str, tuple[int, int]] | None = None,
    stable: dict[str, int] | None = None,
    aggregate: dict[str, int] | None = None,
    member: dict[str, int] | None = None,
) -> Reading:
    clusters = {S: stable or {}, A: aggregate or {}, M: member or {}}
    return Reading(gateway, NOW + timedelta(seconds=at), clusters, {M: endpoints or {}}, uptime_s)


LIMITED = TABLE.model_copy(update={"per_try_timeout_s": 0.3})
NO_LIMIT = {"per_try_timeout_s": TABLE.request_timeout_s}
ZERO = a_reading(endpoints={"h:1": (0, 0), "h:2": (0, 0)})
EMPTY = a_reading()

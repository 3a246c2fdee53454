"""How many requests each cluster has had, and has open, from Envoy's page of counters."""

from __future__ import annotations

import contextlib

from fairlead.contracts.gateway import ClusterKey, Role
from fairlead.rollout.analysis.envoy_use import EnvoyUse, Use
from support.processes import free_port
from unit.rollout.admin_page import AdminPage

PAGE = """\
cluster.direct~default~iris~1_1_0.upstream_rq_active: 1
cluster.split~default~iris~1_0_0.upstream_rq_active: 0
cluster.split~default~iris~1_0_0.upstream_rq_total: 7
cluster.split~default~iris~1_0_0.membership_healthy: 2
cluster.control.upstream_rq_total: 9
"""


def test_totals_and_open_requests_are_found_by_cluster(admin: AdminPage) -> None:
    admin.page = PAGE
    with contextlib.closing(EnvoyUse("127.0.0.1", admin.port)) as use:
        assert use.requests() == {
            ClusterKey(Role.SPLIT, "default", "iris", "1_0_0"): (7, 0),
            ClusterKey(Role.DIRECT, "default", "iris", "1_1_0"): (0, 1),
        }
        assert use.read() == {
            ClusterKey(Role.SPLIT, "default", "iris", "1_0_0"): Use(total=7, hosts=2),
            ClusterKey(Role.DIRECT, "default", "iris", "1_1_0"): Use(open=1),
        }


def test_without_an_answer_nothing_is_known(admin: AdminPage) -> None:
    admin.status = 503
    with contextlib.closing(EnvoyUse("127.0.0.1", admin.port)) as use:
        assert use.requests() is None
    with contextlib.closing(EnvoyUse("127.0.0.1", free_port())) as use:
        assert use.requests() is None

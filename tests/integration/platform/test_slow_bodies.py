"""A candidate whose users send bodies that keep models busy is rolled back, and stable's own users notice nothing."""

from __future__ import annotations

from pathlib import Path

from fairlead.contracts.revision import Cause
from fairlead.routing.snapshot import Routed
from integration.routing.edge import V1, V2
from integration.routing.spill_scene import Clients, sleepers
from support.platform import running_platform

STRATEGY = {"steps": [{"weight": 1000, "minDuration": "10m"}]}


def test_the_candidate_is_rolled_back_and_no_user_of_stable_gets_an_error(tmp_path: Path) -> None:
    """Before, stable failed as often as the candidate, which was still there after two minutes."""
    made = zip((V1, V2), sleepers(tmp_path), strict=True)
    versions = {ref.version: {"source": str(folder)} for ref, folder in made}
    limits = {"perTry": "500ms", "request": "3s"}
    iris = {"target": V1.version, "versions": versions, "timeouts": limits, "strategy": STRATEGY}
    with running_platform(tmp_path, {"iris": iris}) as platform:
        platform.command("release", "iris", V2.version)
        head = platform.wait_for("iris", "users of the candidate", weight=1000)
        assert head.table.candidate is not None
        clients = Clients(url=platform.url, routed=Routed("iris", head.seq, head.table))
        own, slow = clients.users_of(head.table.stable, 8), clients.users_of(head.table.candidate, 8)
        with clients.clients("own", own, {"seconds": "0.002"}, pause_s=0.2):
            platform.process.wait_until(lambda: clients.count("own") > 100, "stable is known")
            with clients.clients("slow", slow, {"seconds": "2"}, pause_s=0.1):
                rolled_back = platform.wait_for("iris", "the rollback", candidate=None, weight=0)
                assert rolled_back.cause is Cause.ROLLED_BACK
                # From now on these clients are stable's own, like all others.
                failures = clients.failures("own")
    assert failures == 0

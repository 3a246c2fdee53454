"""The end of a leader: what it holds is released, and what it may have lost is left to expire."""

from __future__ import annotations

import logging
import threading

import pytest

from fairlead import errors
from fairlead.control.kubernetes import _stop
from fairlead.store.kubernetes.kinds import LEASES
from fairlead.store.kubernetes.lease import RENEW_WITHIN_S, Lease
from unit.store.kubernetes.memory_api import MemoryApi


class Setup:
    def __init__(self) -> None:
        self.api, self.now = MemoryApi(), 0.0
        self.lease = Lease(
            self.api, "home", "lease", "pod-0", log=logging.getLogger("test"), monotonic=lambda: self.now
        )
        assert self.lease.attempt()

    def holder(self) -> str:
        return str(self.api.get(LEASES, "home", "lease")["spec"]["holderIdentity"])


def test_a_lease_that_is_held_is_released() -> None:
    setup = Setup()
    setup.lease.stop()
    assert setup.holder() == ""


def test_one_that_was_not_renewed_in_time_is_left_without_a_request() -> None:
    setup = Setup()
    setup.now += RENEW_WITHIN_S
    setup.api.refuses |= {("get", "home"), ("update", "home")}
    setup.lease.stop()
    setup.api.refuses.clear()
    assert setup.holder() == "pod-0"
    with pytest.raises(errors.Conflict, match="does not lead"):
        setup.lease.token()


def test_the_leases_of_further_namespaces_are_released_at_once_and_before_the_platforms_own() -> None:
    together, order = threading.Barrier(3), list[str]()

    class Further(Lease):
        def __init__(self) -> None:
            pass

        def stop(self) -> None:
            together.wait(timeout=10)
            order.append("further")

    class Own(Further):
        def stop(self) -> None:
            order.append("own")

    _stop([Own(), Further(), Further(), Further()])
    assert order == ["further"] * 3 + ["own"]

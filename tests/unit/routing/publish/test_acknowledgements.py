"""Acknowledgements and rejections derived from the counters of a gateway that polls the control plane."""

from __future__ import annotations

from fairlead.routing.publish.acknowledgements import ATTRIBUTE_AFTER_S, AckTracker
from fairlead.routing.publish.admin import Sample
from fairlead.routing.publish.resource_sets import KINDS, Kind, ResourceSet, Update, UpdateOrder, make_version

CONTENT = ResourceSet.of({"models": {"name": "models"}})


def update(sequence: int) -> Update:
    return Update(make_version(UpdateOrder(sequence, "b"), CONTENT), CONTENT)


OLD, NEW, NEWER = update(1), update(2), update(3)


def sample(uses: Update | None, *, handled: int, rejected: int, connection: int = 1) -> Sample:
    versions: dict[Kind, str] = {"rds": uses.version} if uses else {}
    return Sample(connection, versions, dict.fromkeys(KINDS, handled), dict.fromkeys(KINDS, rejected), 0)


class Tracked:
    def __init__(self) -> None:
        self.acks = AckTracker("edge-1", lambda: "because", over_http=True)
        self.published = OLD

    def publish(self, one: Update) -> None:
        self.published = one
        self.acks.record_update("rds")

    def rejects(self, said: Sample, now: float) -> bool:
        return "rds" in self.acks.report(said, {"rds": self.published}, now).rejected


def settled() -> Tracked:
    tracked = Tracked()
    assert not tracked.rejects(sample(OLD, handled=4, rejected=1), 0.0)
    return tracked


def test_a_rejection_after_one_update_is_of_that_update() -> None:
    tracked = settled()
    tracked.publish(NEW)
    assert not tracked.rejects(sample(OLD, handled=4, rejected=1), 0.1)
    assert tracked.rejects(sample(OLD, handled=5, rejected=2), 0.2)


def test_a_rejection_that_may_be_of_an_earlier_update_is_not_attributed_to_the_last_at_once() -> None:
    tracked = settled()
    tracked.publish(NEW)
    tracked.publish(NEWER)
    assert not tracked.rejects(sample(OLD, handled=5, rejected=2), 0.1)
    assert not tracked.rejects(sample(NEWER, handled=6, rejected=2), 0.2)


def test_a_rejection_is_attributed_to_the_last_update_after_a_timeout_when_one_was_skipped() -> None:
    tracked = settled()
    tracked.publish(NEW)
    tracked.publish(NEWER)
    assert not tracked.rejects(sample(OLD, handled=5, rejected=2), 0.1)
    assert tracked.rejects(sample(OLD, handled=5, rejected=2), 0.2 + ATTRIBUTE_AFTER_S)


def test_rejections_before_the_first_sample_do_not_count() -> None:
    tracked = Tracked()
    tracked.publish(NEW)
    for now in (0.0, 5.0):
        assert not tracked.rejects(sample(OLD, handled=9, rejected=3), now)
    assert tracked.rejects(sample(OLD, handled=10, rejected=4), 6.0)


def test_a_gateway_without_any_version_and_with_a_rejection_rejects_what_is_published() -> None:
    tracked = Tracked()
    tracked.publish(NEW)
    assert tracked.rejects(sample(None, handled=1, rejected=1), 0.0)


def test_a_new_connection_hides_no_rejection() -> None:
    tracked = settled()
    tracked.publish(NEW)
    assert tracked.rejects(sample(OLD, handled=5, rejected=2, connection=2), 0.2)


def test_after_a_restart_counting_starts_from_zero() -> None:
    tracked = settled()
    tracked.publish(NEW)
    assert not tracked.rejects(sample(None, handled=0, rejected=0, connection=2), 0.2)
    assert tracked.rejects(sample(None, handled=1, rejected=1, connection=2), 0.3)

"""What an Envoy that asks for its configuration means by its counters."""

from __future__ import annotations

from fairlead.routing.publish.acknowledgements import ATTRIBUTE_AFTER_S, AckTracker
from fairlead.routing.publish.admin import Sample
from fairlead.routing.publish.resource_sets import KINDS, ResourceSet, Kind, UpdateOrder, Update, make_version

CONTENT = ResourceSet.of({"models": {"name": "models"}})


def written(sequence: int) -> Update:
    return Update(make_version(UpdateOrder(sequence, "b"), CONTENT), CONTENT)


OLD, NEW, NEWER = written(1), written(2), written(3)


def sample(uses: Update | None, *, handled: int, refused: int, connection: int = 1) -> Sample:
    versions: dict[Kind, str] = {"rds": uses.version} if uses else {}
    return Sample(connection, versions, dict.fromkeys(KINDS, handled), dict.fromkeys(KINDS, refused), 0)


class Listener:
    def __init__(self) -> None:
        self.ear = AckTracker("edge-1", lambda: "because", kept_asking=True)
        self.published = OLD

    def publish(self, one: Update) -> None:
        self.published = one
        self.ear.wrote("rds")

    def refuses(self, said: Sample, now: float) -> bool:
        return "rds" in self.ear.hear(said, {"rds": self.published}, now).refused


def settled() -> Listener:
    listener = Listener()
    assert not listener.refuses(sample(OLD, handled=4, refused=1), 0.0)
    return listener


def test_a_rejection_after_one_writing_is_of_that_writing() -> None:
    listener = settled()
    listener.publish(NEW)
    assert not listener.refuses(sample(OLD, handled=4, refused=1), 0.1)
    assert listener.refuses(sample(OLD, handled=5, refused=2), 0.2)


def test_a_rejection_that_may_be_of_an_earlier_writing_is_not_put_on_the_last_at_once() -> None:
    listener = settled()
    listener.publish(NEW)
    listener.publish(NEWER)
    assert not listener.refuses(sample(OLD, handled=5, refused=2), 0.1)
    assert not listener.refuses(sample(NEWER, handled=6, refused=2), 0.2)


def test_one_that_skipped_a_writing_and_refused_the_last_is_understood_after_a_while() -> None:
    listener = settled()
    listener.publish(NEW)
    listener.publish(NEWER)
    assert not listener.refuses(sample(OLD, handled=5, refused=2), 0.1)
    assert listener.refuses(sample(OLD, handled=5, refused=2), 0.2 + ATTRIBUTE_AFTER_S)


def test_what_was_refused_before_it_was_first_heard_says_nothing_of_what_is_published_now() -> None:
    listener = Listener()
    listener.publish(NEW)
    for now in (0.0, 5.0):
        assert not listener.refuses(sample(OLD, handled=9, refused=3), now)
    assert listener.refuses(sample(OLD, handled=10, refused=4), 6.0)


def test_one_that_never_took_anything_and_refused_something_refuses_what_is_published() -> None:
    listener = Listener()
    listener.publish(NEW)
    assert listener.refuses(sample(None, handled=1, refused=1), 0.0)


def test_a_connection_that_broke_hides_no_rejection() -> None:
    listener = settled()
    listener.publish(NEW)
    assert listener.refuses(sample(OLD, handled=5, refused=2, connection=2), 0.2)


def test_a_gateway_that_restarted_counts_from_nothing() -> None:
    listener = settled()
    listener.publish(NEW)
    assert not listener.refuses(sample(None, handled=0, refused=0, connection=2), 0.2)
    assert listener.refuses(sample(None, handled=1, refused=1, connection=2), 0.3)

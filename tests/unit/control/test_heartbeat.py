from datetime import UTC, datetime, timedelta

from fairlead import errors
from fairlead.control.heartbeat import INTERVAL_S, Heartbeat

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Store:
    """Records the heartbeats; `broken` makes it fail like a locked file."""

    def __init__(self) -> None:
        self.beats: list[datetime] = []
        self.broken = False

    def beat(self, now: datetime) -> None:
        if self.broken:
            raise errors.Unavailable("locked")
        self.beats.append(now)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.s)

    def monotonic(self) -> float:
        return self.s


def test_many_ticks_write_one_heartbeat_per_interval() -> None:
    store, clock = Store(), Clock()
    heartbeat = Heartbeat(store, clock=clock.now, monotonic=clock.monotonic)
    for _ in range(20):
        heartbeat.ticked(0.01)
        clock.s += INTERVAL_S / 4
    assert store.beats == [NOW + timedelta(seconds=INTERVAL_S * number) for number in range(5)]


def test_a_heartbeat_that_cannot_be_written_does_not_end_the_tick() -> None:
    store, clock = Store(), Clock()
    heartbeat = Heartbeat(store, clock=clock.now, monotonic=clock.monotonic)
    store.broken = True
    heartbeat.ticked(0.01)
    store.broken, clock.s = False, INTERVAL_S
    heartbeat.ticked(0.01)
    assert store.beats == [clock.now()]

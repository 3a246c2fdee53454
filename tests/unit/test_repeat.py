"""Work on a thread of its own: again and again, told once of each trouble, gone when it is stopped."""

from __future__ import annotations

import threading

from fairlead import errors
from fairlead.repeat import Repeated
from support.processes import wait_until


def test_it_is_done_again_and_again_until_it_is_stopped() -> None:
    done: list[str] = []
    repeated = Repeated("x", lambda: done.append(threading.current_thread().name), pause_s=lambda: 0.001, tell=print)
    repeated.start()
    wait_until(lambda: len(done) >= 3, "it was done three times")
    repeated.stop()
    count = len(done)
    assert set(done) == {"x"}
    assert not [thread for thread in threading.enumerate() if thread.name == "x"]
    assert len(done) == count


def test_stopping_waits_for_the_work_under_way() -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(10)
        ended.set()

    repeated = Repeated("x", work, pause_s=lambda: 60, tell=print)
    repeated.start()
    assert began.wait(10)
    threading.Timer(0.05, may_end.set).start()
    repeated.stop()
    assert ended.is_set()


def test_what_was_never_started_can_be_stopped() -> None:
    Repeated("x", lambda: None, pause_s=lambda: 1, tell=print).stop()


def test_the_same_error_in_a_row_is_told_once_and_told_anew_when_it_comes_back() -> None:
    script = iter(["away", "away", "", "away", "refused", "refused"])
    told: list[str] = []
    over = threading.Event()

    def work() -> None:
        what = next(script, None)
        if what is None:
            over.set()
        elif what:
            raise errors.Unavailable(what)

    repeated = Repeated("x", work, pause_s=lambda: 0, tell=lambda error: told.append(error.message))
    repeated.start()
    assert over.wait(10)
    repeated.stop()
    assert told == ["away", "away", "refused"]

"""The repeating thread: it repeats its work, reports each error once, and ends when it is stopped."""

from __future__ import annotations

import threading

from fairlead import errors
from fairlead.repeat import RepeatingThread
from support.processes import wait_until


def test_work_is_repeated_until_it_is_stopped() -> None:
    done: list[str] = []
    repeated = RepeatingThread(
        "x", lambda: done.append(threading.current_thread().name), pause_s=lambda: 0.001, on_error=print
    )
    repeated.start()
    wait_until(lambda: len(done) >= 3, "the work ran three times")
    repeated.stop()
    count = len(done)
    assert set(done) == {"x"}
    assert not [thread for thread in threading.enumerate() if thread.name == "x"]
    assert len(done) == count


def test_stop_waits_for_the_work_in_progress() -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(10)
        ended.set()

    repeated = RepeatingThread("x", work, pause_s=lambda: 60, on_error=print)
    repeated.start()
    assert began.wait(10)
    threading.Timer(0.05, may_end.set).start()
    repeated.stop()
    assert ended.is_set()


def test_a_thread_that_was_never_started_can_be_stopped() -> None:
    RepeatingThread("x", lambda: None, pause_s=lambda: 1, on_error=print).stop()


def test_repeated_errors_are_reported_once_and_again_after_a_recovery() -> None:
    script = iter(["away", "away", "", "away", "refused", "refused"])
    reported: list[str] = []
    over = threading.Event()

    def work() -> None:
        what = next(script, None)
        if what is None:
            over.set()
        elif what:
            raise errors.Unavailable(what)

    repeated = RepeatingThread("x", work, pause_s=lambda: 0, on_error=lambda error: reported.append(error.message))
    repeated.start()
    assert over.wait(10)
    repeated.stop()
    assert reported == ["away", "away", "refused"]

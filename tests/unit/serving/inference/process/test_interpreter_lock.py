from __future__ import annotations

import ctypes
import time

from fairlead.serving.inference.process.interpreter_lock import LONG_S, held_s


def test_a_call_that_holds_the_lock_is_measured() -> None:
    assert held_s(lambda: ctypes.PyDLL(None).usleep(400_000)) > LONG_S


def test_a_call_that_waits_without_the_lock_is_not() -> None:
    assert held_s(lambda: time.sleep(0.4)) < LONG_S

"""A background thread that repeats a function until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fairlead import errors


class RepeatingThread:
    """Calls `work` on a thread, waits `pause_s()` seconds, and calls it again.

    A FairleadError is passed to `on_error`, and the loop continues. The same message several times in a row is passed
    once, so that an outage of an hour does not fill the log. Any other exception is a defect and ends the thread.
    Call `start` once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        pause_s: Callable[[], float],
        on_error: Callable[[errors.FairleadError], None],
    ) -> None:
        self._work, self._pause_s, self._on_error = work, pause_s, on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; the first call of `work` follows immediately."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until a call in progress returns. Does nothing when the thread was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        reported = ""
        while not self._stopping.is_set():
            try:
                self._work()
                reported = ""
            except errors.FairleadError as error:
                if reported != error.message:
                    self._on_error(error)
                reported = error.message
            self._stopping.wait(self._pause_s())

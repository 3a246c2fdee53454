"""Something done again and again on a thread of its own, until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fairlead import errors


class Repeated:
    """`work` on a thread, with `pause_s()` in between. What it raises of ours is told, and it is done again.

    The same error in a row is told once: an outage of an hour must not fill a log. Any other error is a defect, and
    ends the thread. Start it once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        pause_s: Callable[[], float],
        tell: Callable[[errors.FairleadError], None],
    ) -> None:
        self._work, self._pause_s, self._tell = work, pause_s, tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the work under way is done. Does nothing where nothing was started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        known = ""
        while not self._stopping.is_set():
            try:
                self._work()
                known = ""
            except errors.FairleadError as error:
                if known != error.message:
                    self._tell(error)
                known = error.message
            self._stopping.wait(self._pause_s())

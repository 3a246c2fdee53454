"""What a model and its libraries print while they are checked: each line once, with its number, and not without end."""

from __future__ import annotations

import codecs
import io
import os

MOST_LINES = 20
"""So many different lines are shown: those that were printed first at the latest."""
_MOST_KEPT = 1000
_LONGEST = 200


class Printed(io.TextIOBase):
    """Takes what is printed. It needs the same memory for a line and for a million of them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        """How many lines were printed, without empty ones."""
        self._times: dict[str, int] = {}
        self._is_cut = False
        self._rest = ""

    def write(self, text: str) -> int:
        """Take a piece of text, as a stream does. Its last line may go on in the next piece."""
        *lines, self._rest = f"{self._rest}{text}".split("\n")
        if len(self._rest) > 1 << 16:  # a bar of progress that never ends its line
            self._rest = self._rest[-_LONGEST:]
        for line in lines:
            self._count(line)
        return len(text)

    def take(self, pipe: int) -> None:
        """Take everything until the pipe ends, and close it."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while piece := os.read(pipe, 1 << 16):
                self.write(decoder.decode(piece))
        finally:
            os.close(pipe)

    def shown(self) -> list[str]:
        """The lines for a person; empty if nothing was printed."""
        if self._rest:
            self._count(self._rest)
            self._rest = ""
        if not self.count:
            return []
        kept = list(self._times.items())[-MOST_LINES:]
        lines = [f"  | {line}{f'  ({times:,} times)' if times > 1 else ''}" for line, times in kept]
        which = f", the last {len(kept)} different ones" if self._is_cut or len(kept) < len(self._times) else ""
        return [f"the model printed {self.count:,} line{'s' if self.count > 1 else ''}{which}:", *lines]

    def _count(self, line: str) -> None:
        seen = line.rstrip().rpartition("\r")[2].strip()  # of a bar of progress, what a terminal shows at the end
        if not seen:
            return
        self.count += 1
        kept = seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}..."
        self._times[kept] = self._times.get(kept, 0) + 1
        if len(self._times) > _MOST_KEPT:
            self._is_cut = True
            del self._times[next(iter(self._times))]

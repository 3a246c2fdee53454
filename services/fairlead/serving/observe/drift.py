"""`Drift`: counts answered rows in the bins of the profile, beside the event loop and never in a request's way.

The event loop keeps references to whole batches. Every PERIOD_S seconds a thread of its own counts what was kept. When
MAX_ROWS or MAX_BYTES are kept, further batches are skipped and their rows are counted as skipped: a thousand rows per
second are more than any statistic of drift needs, and they bound its cost, whatever the load.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from fairlead.contracts.profile import Profile
from fairlead.profile.slicing import Members, SlicedCount
from fairlead.profile.vectors import VectorSums
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.observe.drift_text import DriftText
from fairlead.serving.observe.estimate import estimate_of
from fairlead.serving.observe.kept_memory import RowMemory, Ticket, memory_of
from fairlead.serving.observe.shared_memory import SharedMemory

logger = logging.getLogger(__name__)

PERIOD_S = 1.0
MAX_ROWS = 1024
MAX_BYTES = 16 * 1024 * 1024
"""The most memory of the rows that are kept, as estimated; one batch may be larger."""
CHUNK_ROWS, CHUNK_IMAGES = 256, 16
"""How many rows are counted at once, and how many with an image: looking at one takes 0.1 ms."""
PAUSE_S = 0.0002
"""The pause after them: the event loop gets the interpreter in between."""


class Part(Protocol):
    """The rows of one request in a batch."""

    @property
    def ticket(self) -> Ticket:
        """The request."""

    @property
    def start(self) -> int:
        """The index of the first row in the request."""

    @property
    def rows(self) -> Sequence[Any]:
        """The rows."""


class Batch(Protocol):
    """A call of the model that has returned: the answers of each part, or an error."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts of requests in it."""

    @property
    def outcomes(self) -> Sequence[Any]:
        """A list of answers for each part, or its error."""

    @property
    def count(self) -> int:
        """The rows of all parts."""


_COUNTED, _SKIPPED, _FAILED, _TOTALS = range(4)
"""The last numbers, of rows. Before them are those of the bins, and the requests of all rows and of each slice. The
event loop writes the skipped rows, the thread all others."""


class Drift:
    """The counts of a service: each worker adds to its own, and each reports the sums of all.

    Call the methods on the event loop only.
    """

    def __init__(
        self,
        model: str,
        version: str,
        profile: Profile | None,
        answer_type: type[BaseModel],
        memory: RowMemory,
        shared: SharedMemory | None = None,
    ) -> None:
        self._text = DriftText(model, version, profile)
        slices = profile.slices if profile else ()
        self._counted_bins = SlicedCount(
            profile.features if profile else (), profile.answers if profile else (), slices
        )
        self._chunk = CHUNK_IMAGES if self._counted_bins.images else CHUNK_ROWS
        self._read = Reader(answer_type).measured
        self._memory = memory
        self._kept: list[Batch] = []
        self._rows = self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, "drift")
        self._counting = False
        self._vectors = VectorSums(profile.vectors if profile else ())
        shared = shared or SharedMemory()
        bins = self._counted_bins.size
        self._parts = [bins, bins + 1 + len(slices)]
        size = self._parts[-1] + _TOTALS
        self._workers = _arrays(shared, size)
        self._counts, self._requests, self._totals = np.split(self._workers[shared.own], self._parts)
        self._estimate = estimate_of(answer_type, profile)
        self._estimated = _arrays(shared, self._estimate.size if self._estimate else 0)
        self._turned = _arrays(shared, self._vectors.size)
        self._own = shared.own
        self._has_failed = False

    @property
    def keep(self) -> Callable[[Batch], None] | None:
        """What the batcher calls with each batch; None if nothing is measured."""
        return self._keep if self._counted_bins.size or self._vectors.size else None

    def _keep(self, batch: Batch) -> None:
        """Keep a batch to be counted, or skip it. It must not be changed afterwards."""
        if self._rows and self._rows + batch.count > MAX_ROWS:
            self._totals[_SKIPPED] += batch.count
            return
        needs = sum([self._needs(part) for part in batch.parts])
        if self._rows and self._bytes + needs > MAX_BYTES:
            self._totals[_SKIPPED] += batch.count
            return
        self._kept.append(batch)
        self._rows += batch.count
        self._bytes += needs
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._begin)

    def _needs(self, part: Part) -> int:
        """The memory of a part in bytes: its share of the request's."""
        rows, of = len(part.rows), len(part.ticket.rows)
        whole = memory_of(part.ticket, max(rows, of), self._memory)
        return whole * rows // of if rows < of else whole

    def _begin(self) -> None:
        self._timer = None
        if self._counting:  # the machine is busy: what is kept waits
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._begin)
            return
        self._counting = True
        counted = asyncio.get_running_loop().run_in_executor(self._thread, self._count, self._taken())
        counted.add_done_callback(self._ended)

    def _ended(self, _: object) -> None:
        self._counting = False

    def _taken(self) -> list[Batch]:
        kept, self._kept = self._kept, []
        self._rows = self._bytes = 0
        return kept

    async def text(self) -> bytes:
        """All metrics of drift in Prometheus' text format, with every row that was answered before the call.

        Of other workers, without what they have answered in the last PERIOD_S seconds.
        """
        work = partial(self._counted_text, self._taken())
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def answer_counts(self) -> list[int]:
        """The rows in each bin of the profile's answers, of all workers, without those of the last PERIOD_S seconds."""
        counts = np.sum([one[self._counted_bins.of_answers] for one in self._workers], axis=0)
        return [int(one) for one in counts]

    def close(self) -> None:
        """Stop counting; the thread ends after its current chunk of rows."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _counted_text(self, batches: list[Batch]) -> bytes:
        self._count(batches)
        counts, requests, totals = np.split(np.sum(self._workers, axis=0, dtype=np.int64), self._parts)
        estimated, turned = (np.sum(sums, axis=0).tolist() for sums in (self._estimated, self._turned))
        rows, skipped, failed = totals.tolist()
        return self._text.render(
            counts, requests, rows=rows, skipped=skipped, failed=failed, estimated=estimated, turned=turned
        )

    def _count(self, batches: list[Batch]) -> None:
        """Count batches, on the thread. Never raises: rows that cannot be counted are counted as failed."""
        rows: list[Any] = []
        answers: list[Any] = []
        askers: list[int] = []
        requests = 0
        for batch in batches:
            for part, outcome in zip(batch.parts, batch.outcomes, strict=True):
                if isinstance(outcome, list):
                    rows += part.rows
                    answers += outcome
                    # Further parts of a large request are its first part's request: it is counted once.
                    requests += part.start == 0
                    askers += [requests if part.start == 0 else 0] * len(part.rows)
        seen: set[tuple[int, int]] = set()
        for start in range(0, len(rows), self._chunk):
            part_of = slice(start, start + self._chunk)
            members = self._count_chunk(rows[part_of], answers[part_of])
            asked = askers[part_of]
            seen.update((place, asked[row]) for place, row in np.argwhere(members).tolist() if asked[row])
            time.sleep(PAUSE_S)
        of_slices = Counter(place for place, _ in seen)
        self._requests += [requests, *(of_slices[place] for place in range(len(self._requests) - 1))]

    def _count_chunk(self, rows: Sequence[Any], answers: Sequence[Any]) -> Members:
        """Which rows are in each slice; none of rows that cannot be counted."""
        count = self._counted_bins
        try:
            fields = [row.__dict__ for row in rows]
            read = [self._read(answer) for answer in answers] if count.has_answers else []
            estimated = self._estimate(answers) if self._estimate else None
            members, turned = count.members(fields), self._vectors(fields)
            self._counts += count(fields, read, members)
            if estimated is not None:
                self._estimated[self._own] += estimated
            self._turned[self._own] += turned
            self._totals[_COUNTED] += len(rows)
            return members
        except Exception:  # a row that the author's code has changed, or a defect here: requests must not notice
            self._totals[_FAILED] += len(rows)
            if not self._has_failed:
                logger.exception("rows could not be counted for drift; further ones are only counted as failed")
            self._has_failed = True
            return np.zeros((0, 0), dtype=np.bool_)


def _arrays(shared: SharedMemory, size: int) -> list[npt.NDArray[np.float64]]:
    """So many numbers of each worker."""
    return [np.frombuffer(one.cast("B"), np.float64) for one in shared.array(size)]

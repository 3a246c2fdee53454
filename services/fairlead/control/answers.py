"""What services keep of their answers, read from each instance's ring every second, on threads of its own.

An instance is read from where its ring ends when it is first wanted, and from there on by cursor: nothing is told
twice, and what was overwritten before it was read is counted as lost. An instance that does not answer costs its time
limit and holds up neither the others nor the loop that rolls back.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pydantic import ValidationError

from fairlead.contracts.answers import PATH, Page, add_classes
from fairlead.contracts.route import VersionRef
from fairlead.rollout.ports import Answer, Heard, Site

EVERY_S = 1.0
SOONEST_S = 0.2
AT_A_TIME = 100
"""Answers of one instance that are to come in one turn: where there are many, rings are read more often."""
TIMEOUT_S = 1.0
AT_ONCE = 8
PAGES = 16
"""Pages of one instance in one turn: some 30,000 answers."""
MOST_ANSWERS = 50_000
"""Answers of one route that wait to be heard."""
MOST_BYTES = 1 << 20
"""No page is longer."""
DEAF_AFTER_S = 15.0
"""Nobody has listened for so long: another replica may decide now, and counts what is told from here on."""


class _Failed(Exception):
    """A page could not be read."""


class _Ring:
    """One instance's ring and the cursor in it. One thread at a time."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._http = http.client.HTTPConnection(site.host, site.port, timeout=TIMEOUT_S)
        self._epoch, self._after = "", 0
        self._classes: dict[str, int] = {}

    def read(self) -> Heard:
        """What it kept since the last call. Raises _Failed; the cursor then stays."""
        answers: list[Answer] = []
        lost, known = 0, self._classes
        page: Page | None = None
        for _ in range(PAGES):
            try:
                page, anew = self._page()
            except _Failed:
                if page is None:
                    raise
                break  # what was read before is read
            lost += page.lost
            answers += (
                Answer(name, self.site.ref, shadow, status, label, score, page.fields)
                for name, label, score, status, shadow in page.answers
            )
            if anew:
                known = page.classes  # counted since another beginning: no difference means anything
            if not page.more:
                break
        self._classes = dict(page.classes) if page else {}
        risen = {name: count - known.get(name, 0) for name, count in self._classes.items()}
        return Heard(answers, {self.site.ref: {name: count for name, count in risen.items() if count > 0}}, lost)

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def _page(self) -> tuple[Page, bool]:
        """The next page, and whether it is the first of an epoch."""
        try:
            self._http.request("GET", f"{PATH}?{urlencode({'epoch': self._epoch, 'after': self._after})}")
            answer = self._http.getresponse()
            text = answer.read(MOST_BYTES)
            if answer.status != http.client.OK:
                raise _Failed(f"status {answer.status}")
            page = Page.model_validate(json.loads(text))
        except (OSError, http.client.HTTPException, ValueError, RecursionError, ValidationError) as error:
            self._http.close()
            raise _Failed(str(error) or type(error).__name__) from None
        anew = page.epoch != self._epoch
        self._epoch, self._after = page.epoch, page.next
        return page, anew


@dataclass
class _Told:
    """What one route has heard since it was last asked."""

    answers: list[Answer] = field(default_factory=list)
    classes: dict[VersionRef, dict[str, int]] = field(default_factory=dict)
    lost: int = 0
    silent: set[str] = field(default_factory=set)

    def add(self, heard: Heard) -> None:
        room = max(0, MOST_ANSWERS - len(self.answers))
        self.answers += heard.answers[:room]
        self.lost += heard.lost + max(0, len(heard.answers) - room)
        for ref, counts in heard.classes.items():
            self.classes[ref] = add_classes(self.classes.get(ref, {}), dict(counts))


class AnswerRings:
    """`rollout.ports.Answers`. `listen` and `hear` are for one thread; the reading happens on others."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._monotonic = monotonic
        self.pause_s = every_s
        """How soon after a turn the next one is."""
        self._lock = threading.Lock()
        self._wanted: Mapping[str, Sequence[Site]] = {}
        self._listened = 0.0
        self._told: dict[str, _Told] = {}
        self._rings: dict[tuple[str, Site], _Ring] = {}
        self._stopping = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)

    def listen(self, wanted: Mapping[str, Sequence[Site]]) -> None:
        """Whose answers are wanted from now on. The threads start when somebody's are."""
        with self._lock:
            self._wanted = {route: tuple(sites) for route, sites in wanted.items() if sites}
            self._listened = self._monotonic()
            if self._wanted and self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="answers")
                self._thread.start()

    def hear(self) -> Mapping[str, Heard]:
        """What was heard since the last call."""
        with self._lock:
            told, self._told = self._told, {}
        return {
            route: Heard(one.answers, one.classes, one.lost, tuple(sorted(one.silent))) for route, one in told.items()
        }

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._pool is not None:
            self._thread.join()
            self._pool.shutdown(wait=True, cancel_futures=True)
        for ring in self._rings.values():
            ring.close()

    def turn(self) -> None:
        """Read every wanted ring once. How soon the next turn should follow depends on how much there was."""
        with self._lock:
            deaf = self._monotonic() - self._listened > DEAF_AFTER_S
            wanted = {} if deaf else dict(self._wanted)
            if deaf:
                self._told = {}
        keys = [(route, site) for route, sites in wanted.items() for site in sites]
        for gone in self._rings.keys() - set(keys):
            self._rings.pop(gone).close()
        has_new = not self._rings.keys() >= set(keys)
        for key in keys:
            self._rings.setdefault(key, _Ring(key[1]))
        most = 0
        for (route, site), heard in self._read(keys):
            with self._lock:
                told = self._told.setdefault(route, _Told())
                if heard is None:
                    told.silent.add(site.id)
                else:
                    told.add(heard)
                    most = max(most, len(heard.answers))
        soon_s = min(SOONEST_S, self._every_s)
        # Of a new ring nobody knows yet how fast it fills.
        wish_s = soon_s if has_new else self.pause_s * AT_A_TIME / max(most, 1)
        self.pause_s = min(self._every_s, max(soon_s, wish_s))

    def _read(self, keys: Sequence[tuple[str, Site]]) -> Iterator[tuple[tuple[str, Site], Heard | None]]:
        def one(key: tuple[str, Site]) -> Heard | None:
            try:
                return self._rings[key].read()
            except _Failed:
                return None

        if keys and self._pool is not None:
            yield from zip(keys, self._pool.map(one, keys), strict=True)

    def _run(self) -> None:
        complaint = ""
        while not self._stopping.wait(self.pause_s):
            try:
                self.turn()
                complaint = ""
            except Exception as error:  # the edge of the thread: answers that cannot be read are no evidence, no crash
                told = f"{type(error).__name__}: {error}"
                if told != complaint:
                    self._log.exception("answers could not be read")
                complaint = told

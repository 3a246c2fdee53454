"""An open-loop load generator: it sends a constant number of requests per second and does not wait for responses.

    with OpenLoop("http://127.0.0.1:8080", rate=500, seconds=10, request=Users("/predict", body=b"{}")) as load:
        ...                                   # the load runs in its own process
        summary = load.result()

Latency counts from the moment when a request was due, so a stall of the server adds to the latency of every request
that waited. The load ends after `count` requests or after `seconds`; `stop()` or leaving the block ends it earlier.
"""

from __future__ import annotations

import ipaddress
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import numpy as np

from support.load.columns import KINDS
from support.load.generator import ANSWERED, FAILED, READY, SENT, STOP, WORDS, Plan, Report
from support.load.summary import Summary
from support.processes import ProcessFailed, wait_until

_TESTS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Progress:
    """The counts of a running load."""

    sent: int
    answered: int
    failed: int


class OpenLoop:
    """A load in its own process. `request(i)` returns the bytes of request i, `check(i, body)` checks its response.

    Both are pickled for that process: use the classes in `prebuilt` and `checks`, or others that can be imported.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: float,
        request: Callable[[int], bytes],
        seconds: float | None = None,
        count: int | None = None,
        check: Callable[[int, bytes], bool] | None = None,
        accepted: Collection[int] = (200,),
        timeout_s: float = 15.0,
        connections: int = 2000,
        network: str | None = None,
    ) -> None:
        """`network` is an address block that may get load, as loopback does: the Services of the test's own cluster."""
        if (seconds is None) == (count is None):
            raise ValueError("give either seconds or count")
        total = count if count is not None else round(rate * (seconds or 0))
        self._plan = Plan(
            own_address(url, network), rate, total, request, check, frozenset(accepted), timeout_s, connections
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._summary: Summary | None = None

    def __enter__(self) -> Self:
        self._control = tempfile.NamedTemporaryFile(prefix="load-")
        self._control.write(bytes(WORDS * 8))
        self._control.flush()
        self._map = mmap.mmap(self._control.fileno(), WORDS * 8)
        self._words = memoryview(self._map).cast("q")
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.load", self._control.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=_TESTS,
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
        )
        assert self._process.stdin is not None
        pickle.dump(self._plan, self._process.stdin)
        self._process.stdin.close()
        self._process.stdin = None
        try:
            wait_until(lambda: bool(self._words[READY]) or self._ended(), "the load has started", every=0.002)
        except ProcessFailed:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._summary is None and self._process is not None:
            self.stop()
            if error is None:
                self.result()
            else:
                self._close()

    @property
    def progress(self) -> Progress:
        """The current counts."""
        if self._summary is not None:
            return Progress(self._summary.sent, self._summary.sent, self._summary.failed)
        return Progress(self._words[SENT], self._words[ANSWERED], self._words[FAILED])

    def wait_sent(self, count: int) -> None:
        """Wait until `count` requests have been sent. Returns at once if the load has ended."""
        within = count / self._plan.rate + self._plan.timeout_s + 10
        wait_until(lambda: self.progress.sent >= count or self._ended(), f"{count} requests sent", within=within)

    def stop(self) -> None:
        """Send no more requests. Responses of requests in flight are still awaited."""
        if self._process is not None:
            self._words[STOP] = 1

    def result(self) -> Summary:
        """Wait for the end of the load and return its summary. Leaving the block has ended the load already."""
        if self._summary is None:
            assert self._process is not None, "the load was not started"
            within = self._plan.count / self._plan.rate * 1.5 + self._plan.timeout_s + 30
            try:
                out, _ = self._process.communicate(timeout=within)
                if self._process.returncode:
                    self._errors.seek(0)
                    raise ProcessFailed(f"the load generator failed:\n{self._errors.read().decode()}")
                self._summary = _summary(self._plan, pickle.loads(out))
            finally:
                self._close()
        return self._summary

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _close(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        self._words.release()
        self._map.close()
        self._control.close()
        self._errors.close()


def own_address(url: str, network: str | None = None) -> tuple[str, int]:
    """Host and port of a URL on loopback or in `network`. Raises ValueError for other hosts."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
        is_own = address.is_loopback or (network is not None and address in ipaddress.ip_network(network))
    except ValueError:
        is_own = False
    if parts.scheme != "http" or not is_own or parts.port is None:
        raise ValueError(f"load may only go to http://127.0.0.1:PORT, not to {url}")
    return host, parts.port


def _summary(plan: Plan, report: Report) -> Summary:
    columns, count = report.columns, report.count

    def narrow(name: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.frombuffer(getattr(columns, name), dtype=np.int16)[:count]

    def wide(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.frombuffer(getattr(columns, name), dtype=np.int64)[:count]

    return Summary(
        rate=plan.rate,
        scheduled=wide("scheduled") + report.offset,
        latency=wide("latency"),
        lag=wide("lag"),
        outcome=narrow("outcome"),
        version=narrow("version"),
        revision=narrow("revision"),
        index=np.arange(count, dtype=np.int64),
        versions=tuple(report.versions),
        revisions=tuple(report.revisions),
        accepted=plan.accepted,
        cpu_s=report.cpu_s,
        wall_s=report.wall_s,
        samples={KINDS.get(code, f"status {code}"): text for code, text in report.samples.items()},
    )

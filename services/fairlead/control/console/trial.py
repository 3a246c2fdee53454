"""Sends a row that somebody tries to a model, through the gateway, as any client would.

The control plane sends it because a page may only reach its own host (and in a cluster the gateway is not where the
page is). It goes to one address, the platform's own gateway, and to paths of models that serve.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from fairlead import errors
from fairlead.contracts.access import KEY_HEADER, sendable
from fairlead.contracts.golden import Tolerance, compare

MAX_AT_A_TIME = 4
MAX_ANSWER_BYTES = 1 << 20
SHOWN_CHARACTERS = 32_000
MAX_WAIT_S = 30.0
MARGIN_S = 1.0
"""How long after the route's own limit the gateway's answer is awaited."""
PRESETS = 8
SAVED_CHARACTERS = 16_000
"""A longer golden row is no preset."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A golden row, and the answer that the version must give."""

    text: str
    expected: Any


@dataclass(frozen=True, slots=True)
class Presets:
    """The golden rows of a version; `why` says why there are none."""

    rows: tuple[Preset, ...] = ()
    within: Tolerance = Tolerance(1e-5, 1e-8)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `verdict` compares it with the golden row that was sent; None if it was another row."""

    status: int
    reason: str
    milliseconds: float
    headers: tuple[tuple[str, str], ...]
    body: str
    is_cut: bool
    verdict: str | None = None

    @property
    def version(self) -> str:
        """Who answered, as the answer says."""
        return next((value for name, value in self.headers if name.lower() == "x-model-version"), "")


class Exchanged(NamedTuple):
    """One answer of the gateway, as it came."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    text: str


class Trial:
    """Asks one gateway. Any thread may use it."""

    def __init__(
        self, host: str, port: int, *, asks_for_key: bool = False, passes: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`passes` are the headers with which a request passes a port that is closed to others."""
        self._host, self._port, self._passes = host, port, passes
        self.asks_for_key = asks_for_key
        """Whether the gateway answers only with a client's key. Whoever tries a row has one; it is sent, never kept."""
        self._places = threading.BoundedSemaphore(MAX_AT_A_TIME)

    def presets(self, model: str, version: str, key: str = "") -> Presets:
        """The golden rows of a version, as the version itself says."""
        if self.asks_for_key and not key:
            return Presets(why="The gateway asks for a key, so golden rows are shown after a row was sent with one.")
        try:
            status, _, _, text = self._exchange("GET", f"{_path(model, version)}/golden", None, 5.0, key)
            if status != http.client.OK:
                return Presets(why=f"{version} does not tell its golden rows now (status {status})")
            golden = json.loads(text)
            rows = [(_written(one["input"]), one["expected"]) for one in golden["rows"]]
            rtol = float(golden.get("rtol", 1e-5))
            within = Tolerance(rtol, float(golden.get("atol", rtol / 1000)))
        except errors.Unavailable as error:
            return Presets(why=error.message)
        except (ValueError, LookupError, TypeError, RecursionError):
            return Presets(why=f"the golden rows of {version} cannot be read here")
        found = tuple(Preset(*row) for row in rows if len(row[0]) <= SAVED_CHARACTERS)[:PRESETS]
        return Presets(found, within, "" if found else f"{version} has no golden rows that fit here")

    def send(self, model: str, version: str, row: str, limit_s: float, golden: Presets, key: str = "") -> Answer:
        """The answer to a row; with an empty version the weights choose who answers.

        Raises Invalid if the row is not JSON, and Unavailable if the gateway does not answer or too many are asked.
        """
        try:
            sent = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise errors.Invalid(f"the row is not JSON: {error}", hint="nothing was sent; correct the row") from None
        began = time.perf_counter()
        limit = min(limit_s + MARGIN_S, MAX_WAIT_S)
        status, reason, headers, text = self._exchange(
            "POST", f"{_path(model, version)}/predict", row.encode(), limit, key
        )
        milliseconds = (time.perf_counter() - began) * 1000
        shown = _indented(text)
        return Answer(
            status,
            reason,
            milliseconds,
            headers,
            shown[:SHOWN_CHARACTERS],
            len(shown) > SHOWN_CHARACTERS,
            _verdict(sent, text, golden) if status == http.client.OK else None,
        )

    def _exchange(self, method: str, path: str, body: bytes | None, limit_s: float, key: str) -> Exchanged:
        headers = {**({"content-type": "application/json"} if body is not None else {}), **self._passes}
        if self.asks_for_key and key:
            headers[KEY_HEADER] = sendable(key)
        if not self._places.acquire(blocking=False):
            raise errors.Unavailable(f"{MAX_AT_A_TIME} requests of this page are being answered", hint="try again")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=limit_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read(MAX_ANSWER_BYTES + 1)
            if len(text) > MAX_ANSWER_BYTES:
                raise errors.Unavailable(f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB, so it is not shown")
            return Exchanged(answer.status, answer.reason, tuple(answer.getheaders()), text.decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            raise errors.Unavailable(f"the gateway did not answer: {str(error) or type(error).__name__}") from None
        finally:
            connection.close()
            self._places.release()


def typed(row: str) -> str:
    """What somebody typed, so that a page shows it unchanged in meaning: what is not printed is an escape of JSON."""
    text = row.replace("\r\n", "\n").replace("\t", "    ")
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def _written(row: Any) -> str:
    return typed(json.dumps(row, ensure_ascii=False, indent=2))


def _path(model: str, version: str) -> str:
    return f"/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='~')}" if version else "")


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _verdict(sent: Any, text: str, golden: Presets) -> str | None:
    """How the answer differs from that of the golden row that was sent: empty if it does not."""
    for preset in golden.rows:
        if json.loads(preset.text) == sent:
            try:
                return compare(preset.expected, json.loads(text), *golden.within) or ""
            except (ValueError, RecursionError):
                return "it is not JSON"
    return None

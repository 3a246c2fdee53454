"""A client for the part of Prometheus's HTTP API that counting needs: raw samples at explicit times, and its clock.

It never uses rate() or increase(): they extrapolate to the edges of a range, so their results are not counts.
"""

from __future__ import annotations

import http.client
import math
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fairlead.contracts import json_text
from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.errors import Unavailable
from fairlead.rollout.ports import Series

MAX_BYTES = 64 << 20
TIMEOUT_BACKOFF_S = 1.0
"""After a timeout, requests fail at once for this long, so that many routes do not wait one after the other."""
_MILLISECOND = 0.001


class PrometheusApi:
    """One kept connection. Not for several threads at once. Every error is Unavailable, with a reason for people."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        found = urlsplit(settings.url)
        self._prefix = found.path.rstrip("/")
        self._tls = found.scheme == "https"
        self._host, self._port = found.hostname or "", found.port
        self._http: http.client.HTTPConnection | None = None
        self._timed_out_at = -TIMEOUT_BACKOFF_S

    def now(self) -> datetime:
        """Prometheus's present time."""
        answer = self._ask("query=time()", "scalar")
        return datetime.fromtimestamp(_number(answer[1]), UTC)

    def samples(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        """The raw samples that `selector` matches, scraped from `since` to `until`, both included."""
        # One millisecond more: Prometheus 2 and 3 differ in whether the left end belongs to the range.
        span = max(1, math.ceil((until - since).total_seconds() / _MILLISECOND) + 1)
        query = quote(f"{selector}[{span}ms]", safe="")
        found = self._ask(f"query={query}&time={until.timestamp():.3f}", "matrix")
        return [_series(one, since.timestamp()) for one in found]

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _ask(self, query: str, kind: str) -> list[Any]:
        if time.monotonic() - self._timed_out_at < TIMEOUT_BACKOFF_S:
            raise Unavailable("Prometheus does not answer: timed out a moment ago")
        try:
            status, text = self._get(f"{self._prefix}/api/v1/query?{query}")
            if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
                raise Unavailable(f"Prometheus refuses us ({status}): see prometheus.bearerTokenFile")
            return _result(json_text.read(text), status, kind)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, TimeoutError):
                self._timed_out_at = time.monotonic()
            raise Unavailable(f"Prometheus does not answer: {_describe(error)}") from error
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            self.close()
            raise Unavailable(f"Prometheus answers nonsense: {error}") from error
        except Unavailable:
            self.close()
            raise

    def _get(self, path: str) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if self._settings.bearer_token_file:
            headers["Authorization"] = f"Bearer {_token(self._settings.bearer_token_file)}"
        reused = self._http is not None
        try:
            return self._once(path, headers)
        except (ConnectionError, http.client.BadStatusLine):
            # Prometheus may have closed a kept connection meanwhile: that is no error yet.
            self.close()
            if not reused:
                raise
            return self._once(path, headers)

    def _once(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._http is None:
            self._http = self._connection()
        self._http.request("GET", path, headers=headers)
        response = self._http.getresponse()
        text = response.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES >> 20} MiB")
        return response.status, text

    def _connection(self) -> http.client.HTTPConnection:
        timeout = self._settings.timeout
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        file = self._settings.ca_file
        try:
            context = ssl.create_default_context(cafile=file or None)
        except OSError as error:
            raise Unavailable(f"prometheus.caFile {file} cannot be used: {_describe(error)}") from error
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)


def _result(answer: dict[str, Any], status: int, kind: str) -> list[Any]:
    if answer.get("status") != "success":
        raise Unavailable(f"Prometheus answers {status}: {answer.get('error') or 'no reason given'}")
    if warnings := answer.get("warnings"):
        # Thanos warns when a store did not answer: a part of the samples is no evidence.
        raise Unavailable(f"Prometheus answers in part: {warnings[0]}")
    data = answer["data"]
    if data["resultType"] != kind:
        raise ValueError(f"a {data['resultType']} where a {kind} was asked for")
    found: list[Any] = data["result"]
    return found


def _series(found: dict[str, Any], since: float) -> Series:
    samples = [(float(at), _number(value)) for at, value in found["values"]]
    return Series({str(k): str(v) for k, v in found["metric"].items()}, [one for one in samples if one[0] >= since])


def _number(text: str) -> float:
    """Parse a number as Prometheus writes it, also NaN and the infinities. The counting code rejects those."""
    return float(text)


def _token(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"prometheus.bearerTokenFile {file} cannot be read: {error}") from error


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

"""The smoke test: sends golden rows to a candidate through the gateway, on its pinned path, and compares answers.

It also compares the types of rows and answers with those of stable: in a cluster only the gateway reaches both.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

from fairlead.contracts import json_text
from fairlead.contracts.gateway import pin_name
from fairlead.contracts.golden import Tolerance, compare
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import VersionRef
from fairlead.contracts.schema_changes import BREAKING, TYPES, Change, changed, type_changes
from fairlead.contracts.table import Table

ROWS = 8
"""How many golden rows are sent; the service itself has compared all of them before it became ready."""
CHANGES = 8
"""How many changed types the reason names."""
_NOT_NOW = (308, 401, 502, 503, 504)
"""308 and 401: this gateway does not know the platform's pass through the entry, or its key, yet."""
_NEEDS_TLS = "needs-tls"
"""The code of the 403 of a gateway that does not know the pass. Any other 403 is an answer of the model."""
MARGIN_S = 1.0
"""How long after `timeouts.request` the gateway's own answer is awaited."""


class GatewaySmoke:
    """Sends requests on its own threads: a candidate that hangs must not block the loop that rolls it back."""

    def __init__(self, host: str, port: int, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """`headers` are those of the platform's own requests."""
        self._host, self._port, self._headers = host, port, headers
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="smoke")
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str, str, int], Future[Check]] = {}

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        """The verdict on this version in this attempt; inconclusive until the answers are in."""
        key = (table.namespace, table.model, ref.identity, table.attempt)
        with self._lock:
            asked = self._asked.get(key)
            if asked is None:
                asked = self._asked[key] = self._pool.submit(self._ask, table, ref)
            if not asked.done():
                return _check(Verdict.INCONCLUSIVE, "the golden rows are being asked")
            verdict = asked.result()
            if verdict.verdict is Verdict.INCONCLUSIVE:
                del self._asked[key]
            return verdict

    def close(self) -> None:
        """Drop the tests in progress."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, table: Table, ref: VersionRef) -> Check:
        # The pin name, not the version: where two identities share a version, the plain version pins stable.
        base = f"/models/{table.model}/versions/{pin_name(table, ref)}"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=table.request_timeout_s + MARGIN_S)
        try:
            status, golden = self._exchange(connection, "GET", f"{base}/golden", None)
            if status != 200 or not isinstance(golden, dict):
                return _check(Verdict.INCONCLUSIVE, f"its golden rows could not be read through the gateway ({status})")
            rows = golden.get("rows", [])[:ROWS]
            if rows:
                check = self._compare(connection, base, rows, _tolerance(golden))
            else:  # golden rows are optional, so this passes; status shows the reason
                check = _check(Verdict.PASS, f"nothing was asked: {ref.version} has no golden rows", rows=0)
            if check.verdict is not Verdict.PASS or not (found := self._types(connection, table, ref, golden)):
                return check
            breaking = sum(one.is_breaking for one in found)
            told = f"{TYPES}{changed(ref.version, table.stable.version)}: {_list(found)}"
            numbers = check.numbers | ({BREAKING: breaking} if breaking else {})
            return check.model_copy(update={"reason": check.reason + told, "numbers": numbers})
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _check(Verdict.INCONCLUSIVE, f"the gateway could not be asked: {error or type(error).__name__}")
        finally:
            connection.close()

    def _compare(self, connection: http.client.HTTPConnection, base: str, rows: list[Any], within: Tolerance) -> Check:
        for number, row in enumerate(rows, 1):
            status, answer = self._exchange(connection, "POST", f"{base}/predict", json.dumps(row["input"]))
            if status in _NOT_NOW or (status == 403 and answer == _NEEDS_TLS):
                return _check(Verdict.INCONCLUSIVE, f"golden row {number} was not answered ({status})")
            if status != 200:
                return _check(Verdict.FAIL, f"golden row {number} was answered {status}", rows=number)
            difference = compare(row["expected"], answer, *within)
            if difference:
                return _check(Verdict.FAIL, f"golden row {number}: {difference}", rows=number)
        return _check(Verdict.PASS, f"{len(rows)} golden rows answered as expected through the gateway", rows=len(rows))

    def _types(
        self, connection: http.client.HTTPConnection, table: Table, ref: VersionRef, golden: dict[str, Any]
    ) -> tuple[Change, ...]:
        """What the version changes for the clients of stable; nothing where one of both does not say its types.

        Raises OSError or HTTPException where stable cannot be asked now: then it is not known.
        """
        if ref == table.stable or "types" not in golden:
            return ()
        path = f"/models/{table.model}/versions/{pin_name(table, table.stable)}/golden"
        status, stable = self._exchange(connection, "GET", path, None)
        if status not in (200, 404):  # 404: the service is of an earlier Fairlead
            raise OSError(f"{table.stable.version} does not say its types ({status})")
        try:
            return type_changes(stable["types"], golden["types"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ()  # the service is of an earlier Fairlead: no reason to hold a release

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None
    ) -> tuple[int, Any]:
        """The status, and with it the document of 200, or the code of a refusal."""
        kind = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers={**kind, **self._headers})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json_text.read(text) if answer.status == 200 else _code(text)


def _code(text: bytes) -> str | None:
    try:
        problem = json_text.read(text)
    except ValueError:
        return None
    return str(problem.get("code")) if isinstance(problem, dict) else None


def _tolerance(golden: dict[str, Any]) -> Tolerance:
    """That of the version, whose service may be older than `atol`."""
    rtol = float(golden.get("rtol", 1e-5))
    return Tolerance(rtol, float(golden.get("atol", rtol / 1000)))


def _list(found: tuple[Change, ...]) -> str:
    """The first changes, breaking ones first: a list that is cut must not hide them."""
    shown = sorted(found, key=lambda one: not one.is_breaking)[:CHANGES]
    more = [f"and {len(found) - CHANGES} more"] if len(found) > CHANGES else []
    return "; ".join([*map(str, shown), *more])


def _check(verdict: Verdict, reason: str, *, rows: int | None = None) -> Check:
    return Check(gate="smoke", verdict=verdict, reason=reason, numbers={} if rows is None else {"rows": rows})

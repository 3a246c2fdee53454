"""The smoke test sends golden rows to the candidate, on its pinned path, and returns a verdict."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairlead.contracts.access import KEY_HEADER
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.smoke import GatewaySmoke
from support.background import serve_in_background

OLD = VersionRef(version="1.0.0", identity="a" * 10)
NEW = VersionRef(version="1.0.0", identity="b" * 10)
NEXT = VersionRef(version="1.1.0", identity="c" * 10)
GOLDEN: dict[str, object] = {"rows": [{"input": {"x": 1}, "expected": {"label": "one"}}], "rtol": 1e-5}


class Edge(ThreadingHTTPServer):
    """A simulated gateway: serves golden rows, and answers each of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.status = 200
        self.label = "one"
        self.code = ""
        """Of the problem, where `status` is none of success."""
        self.golden: dict[str, object] = GOLDEN
        self.golden_of: dict[str, dict[str, object]] = {}
        """By path, where it is not `golden`."""
        self.unavailable = ""
        """A path that is answered 503."""
        self.keys: list[str | None] = []
        self.answering = threading.Event()
        """Answers to golden rows wait for it."""
        self.answering.set()

    def handle_error(self, *_: object) -> None:
        """Ignore connections that the smoke test closed."""


class Handler(BaseHTTPRequestHandler):
    server: Edge

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("x-api-key"))
        status = 503 if self.path == self.server.unavailable else 200
        self._send(status, self.server.golden_of.get(self.path, self.server.golden))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.answering.wait(20)
        self._send(
            self.server.status, {"label": self.server.label, **({"code": self.server.code} if self.server.code else {})}
        )

    def _send(self, status: int, document: object) -> None:
        self.server.asked.append(self.path)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def edge() -> Iterator[Edge]:
    server = Edge()
    with serve_in_background(server):
        yield server
        server.answering.set()


def asked(edge: Edge, table: Table, ref: VersionRef, *, key: str = "") -> Check:
    """The verdict, once the answers are in."""
    smoke = GatewaySmoke("127.0.0.1", edge.server_port, {KEY_HEADER: key} if key else {})
    try:
        deadline = time.monotonic() + 30
        while (check := smoke.smoke(table, ref)).reason == "the golden rows are being asked":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return check
    finally:
        smoke.close()


def a_table(*pins: VersionRef) -> Table:
    return Table(model="iris", stable=pins[0], pins=pins)


def test_the_right_answers_pass(edge: Edge) -> None:
    assert asked(edge, a_table(OLD, NEXT), NEXT).verdict is Verdict.PASS
    assert edge.asked == ["/models/iris/versions/1.1.0/golden", "/models/iris/versions/1.1.0/predict"]


def test_a_gateway_that_asks_for_keys_gets_the_platforms_own(edge: Edge) -> None:
    asked(edge, a_table(OLD, NEXT), NEXT, key="own")
    asked(edge, a_table(OLD, NEXT), NEXT)
    assert edge.keys == ["own", None]


def test_a_gateway_that_does_not_know_the_key_yet_is_no_verdict_on_the_version(edge: Edge) -> None:
    edge.status = 401
    assert asked(edge, a_table(OLD, NEXT), NEXT).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (308, "", Verdict.INCONCLUSIVE),
        (403, "needs-tls", Verdict.INCONCLUSIVE),
        (403, "", Verdict.FAIL),
    ],
)
def test_a_gateway_that_does_not_know_the_pass_through_its_entry_yet_is_no_verdict_on_the_version(
    edge: Edge, status: int, code: str, verdict: Verdict
) -> None:
    edge.status, edge.code = status, code
    assert asked(edge, a_table(OLD, NEXT), NEXT).verdict is verdict


def test_a_version_without_golden_rows_may_be_released_and_the_reason_says_that_nothing_was_asked(edge: Edge) -> None:
    edge.golden = {"rows": [], "rtol": 1e-5}
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert (check.verdict, check.reason) == (Verdict.PASS, "nothing was asked: 1.1.0 has no golden rows")
    assert check.numbers == {"rows": 0}


def typed(field: str, *required: str) -> dict[str, object]:
    """The types of rows with this field."""
    row = {"type": "object", "properties": {field: {"type": "number"}}, "required": list(required)}
    return {"row": row, "answer": {"type": "object", "properties": {"label": {"type": "string"}}}}


def test_types_that_differ_from_those_of_stable_are_named_before_any_user_sees_them(edge: Edge) -> None:
    edge.golden_of = {
        "/models/iris/versions/1.0.0/golden": {**GOLDEN, "types": typed("x")},
        "/models/iris/versions/1.1.0/golden": {**GOLDEN, "types": typed("x", "x")},
    }
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert (check.verdict, check.reason) == (
        Verdict.PASS,
        "1 golden rows answered as expected through the gateway; for its clients, 1.1.0 changes the types of 1.0.0: "
        "breaking: row.x: required now",
    )
    assert check.numbers == {"rows": 1, "breaking": 1}


def test_safe_changes_have_no_number_of_breaking_ones(edge: Edge) -> None:
    edge.golden_of = {
        "/models/iris/versions/1.0.0/golden": {**GOLDEN, "types": typed("x", "x")},
        "/models/iris/versions/1.1.0/golden": {**GOLDEN, "types": typed("x")},
    }
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert check.reason.endswith("1.0.0: safe: row.x: optional now")
    assert check.numbers == {"rows": 1}


def test_breaking_changes_come_first_so_that_a_cut_list_does_not_hide_them(edge: Edge) -> None:
    row = {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(12)}}
    answer = {"type": "object", "properties": {}}
    edge.golden_of = {
        "/models/iris/versions/1.0.0/golden": {**GOLDEN, "types": typed("x")},
        "/models/iris/versions/1.1.0/golden": {**GOLDEN, "types": {"row": row, "answer": answer}},
    }
    _, _, told = asked(edge, a_table(OLD, NEXT), NEXT).reason.partition("types of 1.0.0: ")
    assert told.startswith("breaking: row.x: removed; breaking: answer.label: removed; safe: ")
    assert told.endswith("; and 6 more")


def test_while_stable_does_not_say_its_types_the_verdict_is_still_open(edge: Edge) -> None:
    edge.golden_of = {"/models/iris/versions/1.1.0/golden": {**GOLDEN, "types": typed("x")}}
    edge.unavailable = "/models/iris/versions/1.0.0/golden"
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "1.0.0 does not say its types (503)" in check.reason


@pytest.mark.parametrize("stable", [{"types": typed("x")}, {"types": {}}, {"types": {"row": 7, "answer": []}}, {}])
def test_equal_types_and_types_that_a_version_does_not_give_are_not_mentioned(
    edge: Edge, stable: dict[str, object]
) -> None:
    edge.golden_of = {
        "/models/iris/versions/1.0.0/golden": {**GOLDEN, **stable},
        "/models/iris/versions/1.1.0/golden": {**GOLDEN, "types": typed("x")},
    }
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert (check.verdict, check.reason) == (
        Verdict.PASS,
        "1 golden rows answered as expected through the gateway",
    )


def test_a_candidate_with_stables_version_string_gets_the_requests(edge: Edge) -> None:
    asked(edge, a_table(OLD, NEW), NEW)
    name = f"1.0.0~{NEW.identity}"
    assert edge.asked == [f"/models/iris/versions/{name}/golden", f"/models/iris/versions/{name}/predict"]


def test_a_golden_row_may_take_as_long_as_a_request_and_no_longer(edge: Edge) -> None:
    edge.answering.clear()
    table = Table(model="iris", stable=NEXT, pins=(NEXT,), request_timeout_s=0.1)
    check = asked(edge, table, NEXT)
    assert (check.verdict, check.reason) == (Verdict.INCONCLUSIVE, "the gateway could not be asked: timed out")


def test_a_different_answer_fails_and_the_row_is_named(edge: Edge) -> None:
    edge.label = "two"
    check = asked(edge, a_table(OLD, NEXT), NEXT)
    assert check.verdict is Verdict.FAIL
    assert "golden row 1" in check.reason


@pytest.mark.parametrize(("status", "verdict"), [(500, Verdict.FAIL), (422, Verdict.FAIL), (503, Verdict.INCONCLUSIVE)])
def test_an_error_of_the_model_fails_and_an_error_of_the_gateway_is_inconclusive(
    edge: Edge, status: int, verdict: Verdict
) -> None:
    edge.status = status
    assert asked(edge, a_table(OLD, NEXT), NEXT).verdict is verdict

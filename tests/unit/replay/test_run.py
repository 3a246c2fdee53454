"""A replay sends what was recorded and compares what comes back, and says what it could not compare."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from fairlead import errors
from fairlead.contracts import recording
from fairlead.replay.run import Wanted, replay
from fairlead.replay.targets import Target
from fairlead.serving.observe.hidden import Hidden

BEGAN = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
Answer = Callable[[Any], Any]


def line(number: int, rows: list[Any], answers: list[Any] | None, **changes: Any) -> str:
    facts: dict[str, Any] = {
        "time": (BEGAN + timedelta(seconds=number)).isoformat(),
        "id": f"request-{number}",
        "model": "adder",
        "version": "1.0.0",
        "protocol": "predict",
        "status": 200 if answers is not None else 500,
        "ms": 2.0,
        "rows": rows,
        "answers": answers,
    }
    return json.dumps(facts | changes)


def written(folder: Path, *lines: str) -> Path:
    file = folder / "recorded.jsonl"
    file.write_text("".join(f"{one}\n" for one in lines))
    return file


@contextlib.contextmanager
def service(answer: Answer, seen: list[tuple[str, Any]] | None = None) -> Iterator[str]:
    """A service on loopback; `answer` gets each row. An error that it raises is a problem document."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if seen is not None:
                seen.append((self.path, body))
            try:
                found = [answer(row) for row in body] if isinstance(body, list) else answer(body)
                status, reply = 200, json.dumps(found).encode()
            except ValueError as error:
                status, reply = 422, json.dumps({"detail": str(error)}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(reply)))
            self.send_header("x-model-version", "2.0.0")
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def total(row: Any) -> dict[str, Any]:
    return {"total": row["x"] + 1.0, "kind": row.get("kind", "a")}


ROWS = [line(number, [{"x": float(number)}], [{"total": number + 1.0, "kind": "a"}]) for number in range(10)]


def replayed(source: Path, url: str, against: str | None = None, **changes: Any) -> Any:
    asked = Target(f"{url}/predict")
    other = Target(f"{against}/predict") if against else None
    return replay(asked, other, Wanted(source, **changes), lambda _: None)


def test_the_same_answers_agree(tmp_path: Path) -> None:
    with service(total) as url:
        found = replayed(written(tmp_path, *ROWS), url)
    assert (found.reason, found.compared.agreement, found.requests) == ("", 1.0, 10)
    assert (found.original, found.candidate) == ("recorded 1.0.0", "2.0.0")
    assert found.original_latency.p50_ms == pytest.approx(2.0)
    assert found.candidate_latency.p50_ms > 0


def test_a_row_that_differs_names_the_revision_that_served_it_and_each_revision_has_its_agreement(
    tmp_path: Path,
) -> None:
    def other(row: Any) -> dict[str, Any]:
        return total(row) | ({"kind": "b"} if row["x"] == 3.0 else {})

    def served(number: int, **changes: Any) -> str:
        return line(number, [{"x": float(number)}], [{"total": number + 1.0, "kind": "a"}], **changes)

    source = written(
        tmp_path,
        *(served(number, revision=f"adder.{4 if number < 4 else 5}") for number in range(6)),
        served(6),  # recorded before recordings had revisions
    )
    with service(other) as url, service(total) as now:
        found = replayed(source, url)
        against = replayed(source, url, now)
    assert "request-3 of adder.4 " in found.reason
    told = found.to_json()
    assert told["revisions"] == [
        {"revision": "adder.4", "rows": 4, "agreeing": 3},
        {"revision": "adder.5", "rows": 2, "agreeing": 2},
    ]
    assert told["agreement"]["differ_most"][0]["revision"] == "adder.4"
    # What is compared here was not served by that revision.
    assert (against.to_json()["revisions"], "of adder" in against.reason) == ([], False)


def test_other_answers_are_counted_row_by_row_and_the_worst_is_named(tmp_path: Path) -> None:
    def other(row: Any) -> dict[str, Any]:
        return total(row) | ({"kind": "b"} if row["x"] == 3.0 else {})

    with service(other) as url:
        source = written(tmp_path, *ROWS)
        found = replayed(source, url, min_agreement=0.95)
        assert found.compared.agreement == 0.9
        assert "9 of 10 rows agree" in found.reason
        assert "request-3" in found.reason
        assert replayed(source, url, min_agreement=0.9).reason == ""
    assert found.to_json()["agreement"]["differ_most"][0]["row"] == {"x": 3.0}


def test_a_number_may_differ_by_the_tolerance_of_its_range(tmp_path: Path) -> None:
    with service(lambda row: total(row) | {"total": row["x"] + 1.05}) as url:
        source = written(tmp_path, *ROWS)
        assert replayed(source, url, tolerance=0.01).reason == ""
        assert replayed(source, url, tolerance=0.001).compared.agreement == 0.0


def test_a_request_with_several_rows_is_sent_as_one_and_compared_row_by_row(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []
    rows = [{"x": 1.0}, {"x": 2.0}]
    with service(total, seen) as url:
        found = replayed(written(tmp_path, line(0, rows, [total(row) for row in rows])), url)
    assert seen == [("/predict", rows)]
    assert len(found.compared.differences) == 2


def test_a_row_that_is_refused_now_disagrees_and_one_that_failed_then_is_not_compared(tmp_path: Path) -> None:
    def picky(row: Any) -> Any:
        if row["x"] == 2.0:
            raise ValueError("too large")
        return total(row)

    with service(picky) as url:
        found = replayed(written(tmp_path, *ROWS, line(99, [{"x": 13.0}], None)), url)
    assert (found.compared.unanswered, found.compared.agreement) == (1, 0.9)
    assert "too large" in found.reason


def test_a_recording_of_failures_only_shows_nothing(tmp_path: Path) -> None:
    with service(total) as url:
        found = replayed(written(tmp_path, line(1, [{"x": 1.0}], None)), url, min_agreement=0.0)
    assert "nothing shows" in found.reason
    assert found.to_json()["agreement"]["share"] is None


def test_two_versions_are_compared_with_a_value_for_what_is_hidden(tmp_path: Path) -> None:
    hidden = {"kind": "redacted"}
    source = written(tmp_path, line(1, [{"x": 1.0}], [{"total": 2.0}], hidden=hidden))
    seen: list[tuple[str, Any]] = []
    with service(total, seen) as url, service(total) as other:
        found = replayed(source, url, other, fill={"kind": "b"})
        assert replayed(source, url).hidden == ["kind"]
        assert replayed(source, url).reason == ""  # the hidden field of the answer is not compared
    assert (found.reason, found.hidden, found.original) == ("", [], "2.0.0")
    assert seen[0][1] == {"x": 1.0, "kind": "b"}


class Alias(BaseModel):
    """A row whose field has one name for clients and another one where it is written."""

    x: float
    kind: str = Field(validation_alias="kind_in", serialization_alias="kind_out")


def test_a_value_is_filled_in_by_the_name_that_clients_send(tmp_path: Path) -> None:
    hidden = Hidden(Alias, Alias, ["kind"], [])
    rows = hidden.rows([Alias.model_validate({"x": 1.0, "kind_in": "a"})])
    source = written(tmp_path, line(1, rows, [{"total": 2.0, "kind": "b"}], hidden=hidden.described))
    seen: list[tuple[str, Any]] = []
    with service(lambda row: {"total": 2.0, "kind": row["kind_in"]}, seen) as url:
        assert replayed(source, url, fill={"kind_in": "b"}).reason == ""
    assert seen == [("/predict", {"x": 1.0, "kind_in": "b"})]


def test_images_are_not_replayed_from_their_digests(tmp_path: Path) -> None:
    source = written(tmp_path, line(1, [{"picture": "a" * 64}], [{"total": 1.0}], hidden={"picture": "digest"}))
    with service(total) as url, pytest.raises(errors.Invalid, match="only digests"):
        replayed(source, url)


def test_mirrored_requests_are_not_sent(tmp_path: Path) -> None:
    with service(total) as url:
        source = written(tmp_path, *ROWS, line(1, [{"x": 1.0}], [{"total": 5.0}], mirrored=True))
        assert replayed(source, url).requests == 10


def test_a_request_that_is_in_a_recording_twice_is_sent_once_and_compared_with_its_answer(tmp_path: Path) -> None:
    failed = line(1, [{"x": 1.0}], None, version="0.9.0")
    seen: list[tuple[str, Any]] = []
    with service(total, seen) as url:
        found = replayed(written(tmp_path, failed, *ROWS, *ROWS), url)
    assert len(seen) == found.requests == 10
    assert (found.compared.unanswered, found.reason) == (0, "")


def test_evenly_spaced_requests_are_sent_of_many(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []
    with service(total, seen) as url:
        replayed(written(tmp_path, *ROWS), url, most=5)
    assert [body["x"] for _, body in seen] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_gateway_is_asked_below_the_model_and_the_version(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []
    source = written(tmp_path, ROWS[0])
    with service(total, seen) as url:
        replay(Target(f"{url}/prefix"), None, Wanted(source), lambda _: None)
        replay(Target(url, version="2.0.0"), None, Wanted(source), lambda _: None)
    assert [path for path, _ in seen] == ["/prefix/models/adder/predict", "/models/adder/versions/2.0.0/predict"]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://host:99999",
        "http://host:x",
        f"http://{'a' * 64}.example",
        "http://a..example",
        "http://[::1",
        "http://host/\u20ac",
        "http://host/a b",
        "ftp://host",
    ],
)
def test_what_is_no_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(errors.Invalid, match="not the address"):
        replay(Target(url), None, Wanted(written(tmp_path, ROWS[0])), lambda _: None)


@pytest.mark.parametrize("key", ["secret\nof mine", "s\u20accret", "secret of mine"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    target = Target("http://127.0.0.1:1", key=key)
    with pytest.raises(errors.Invalid, match="characters that no key has") as raised:
        replay(target, None, Wanted(written(tmp_path, ROWS[0])), lambda _: None)
    assert "secret" not in str(raised.value)


def test_a_version_is_one_part_of_the_path_whatever_it_is_called(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []
    with service(total, seen) as url:
        replay(
            Target(url, version="../\u20ac", key="secret\n"), None, Wanted(written(tmp_path, ROWS[0])), lambda _: None
        )
    assert [path for path, _ in seen] == ["/models/adder/versions/..%2F%E2%82%AC/predict"]


def test_a_line_that_nests_too_deeply_to_be_compared_is_left_out(tmp_path: Path) -> None:
    deep = "[" * 500 + "]" * 500
    source = written(tmp_path, ROWS[0], line(1, [{"x": 1.0}], ["deep"]).replace('"deep"', deep))
    with service(total) as url:
        assert replayed(source, url).unreadable == 1


def test_an_address_where_nobody_is_is_no_version_that_answers_otherwise(tmp_path: Path) -> None:
    with service(total) as url:
        pass
    with pytest.raises(errors.Unavailable, match=f"{url} cannot be reached: Connection refused"):
        replayed(written(tmp_path, ROWS[0]), url)


def test_a_service_that_refuses_all_requests_is_told_apart_from_one_that_answers_otherwise(tmp_path: Path) -> None:
    def refuses(row: Any) -> Any:
        raise ValueError("no such version")

    with service(refuses) as url, service(lambda row: total(row) | {"kind": "b"}) as other:
        none, all_ = (replayed(written(tmp_path, *ROWS), one) for one in (url, other))
    assert (none.compared.agreement, none.is_unanswered) == (0.0, True)
    assert (all_.compared.agreement, all_.is_unanswered) == (0.0, False)


def test_a_folder_to_compare_with_that_is_none_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    asked = Target("http://127.0.0.1:1"), Target(str(tmp_path / "nothing"))
    with pytest.raises(errors.NotFound, match="nothing"):
        replay(*asked, Wanted(written(tmp_path, ROWS[0])), lambda _: None)


def test_the_model_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    source = written(tmp_path, ROWS[0], line(1, [{"x": 1.0}], [{"total": 2.0, "kind": "a"}], model="other"))
    with service(total) as url:
        with pytest.raises(errors.Invalid, match="several models: adder, other"):
            replayed(source, url)
        with pytest.raises(errors.NotFound, match="no request of third"):
            replayed(source, url, model="third")
        assert replayed(source, url, model="other").requests == 1


def test_a_line_that_was_cut_off_is_left_out_and_counted(tmp_path: Path) -> None:
    source = written(tmp_path, ROWS[0], ROWS[1][:40])
    with service(total) as url:
        assert (replayed(source, url).requests, replayed(source, url).unreadable) == (1, 1)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="is no recording"):
        recording.read(written(tmp_path, "a,b,c"))

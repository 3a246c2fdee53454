"""Reading log files: which belong to a model, lines that grow, files that are replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.route import VersionSpec
from fairlead.local.log_files import Follower, last_message, name_of, of_model, parse

REF = VersionSpec().ref("1.0.0")


def messages(follower: Follower) -> list[str]:
    return [entry.fields["message"] for entry in follower.read()]


def follower_of(*paths: Path) -> Follower:
    return Follower(lambda: {path.stem: path for path in paths})


def test_only_files_of_the_named_versions_belong_to_the_model(tmp_path: Path) -> None:
    longer = VersionSpec().ref("2-1.0.0")
    names = [name_of("iris", REF, 0), name_of("iris", REF, 11), name_of("iris-2", REF, 0), name_of("iris", longer, 0)]
    for name in names:
        (tmp_path / f"{name}.log").touch()
    (tmp_path / f"{names[0]}.old").touch()
    assert list(of_model(tmp_path, "iris", [REF])) == sorted(names[:2])


def test_a_line_is_read_when_it_is_complete(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntw")
    follower = follower_of(log)
    assert messages(follower) == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    assert messages(follower) == ["two"]
    assert messages(follower) == []


def test_a_file_that_was_replaced_or_cut_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    follower = follower_of(log)
    follower.skip()
    log.rename(tmp_path / "a.old")
    assert messages(follower) == []
    log.write_text("three\nfour\nfive\n")
    assert messages(follower) == ["three", "four", "five"]
    log.write_text("six\n")
    assert messages(follower) == ["six"]


def test_lines_of_several_files_are_in_order_of_time_and_a_print_stays_behind_its_line(tmp_path: Path) -> None:
    times = [f"2026-01-01T00:00:0{second}.000+00:00" for second in range(4)]
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    one.write_text(
        f"{json.dumps({'time': times[1], 'message': 'b'})}\nprinted\n{json.dumps({'time': times[3], 'message': 'd'})}\n"
    )
    other.write_text("".join(f"{json.dumps({'time': times[at], 'message': 'ac'[at // 2]})}\n" for at in (0, 2)))
    assert messages(follower_of(one, other)) == ["a", "b", "printed", "c", "d"]


def test_a_line_of_the_gateways_access_log_reads_like_ours() -> None:
    line = json.dumps(
        {"time": "t", "method": "GET", "path": "/x", "status": 503, "flags": "UH", "host": None, "route": "iris:split"}
    )
    (entry,) = parse("gateway", [line])
    assert entry.fields["message"] == "request failed at the gateway"
    assert entry.fields["level"] == "warning"
    assert "host" not in entry.fields
    assert entry.concerns("iris", [REF], None)
    assert not entry.concerns("iri", [REF], None)


def test_a_request_that_was_answered_at_the_second_attempt_is_not_called_failed() -> None:
    line = json.dumps(
        {"time": "t", "method": "GET", "path": "/x", "status": 200, "flags": "URX", "route": "iris:split"}
    )
    (entry,) = parse("gateway", [line])
    assert (entry.fields["level"], entry.fields["message"]) == ("info", "request at the gateway")


@pytest.mark.parametrize(("code", "level"), [(None, "info"), ("0", "info"), ("13", "warning"), ("16", "warning")])
def test_a_call_of_grpc_that_failed_is_called_failed_though_its_status_is_200(code: str | None, level: str) -> None:
    line = {"time": "t", "method": "POST", "path": "/v2/models/iris/infer", "status": 200, "grpc_status": code}
    (entry,) = parse("gateway", [json.dumps(line)])
    assert entry.fields["level"] == level
    assert ("failed" in str(entry.fields["message"])) is (level == "warning")


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ('{"message": "model failed to start", "reason": "no such file"}\n', "no such file"),
        ("fairlead: a.yaml: naem: unknown field\n  it is explained in docs\n", "a.yaml: naem: unknown field"),
        ("Traceback (most recent call last):\n  File x\nValueError: y\n", "ValueError: y"),
        ("", ""),
    ],
)
def test_the_reason_of_an_end_is_the_last_message_of_the_log(tail: str, said: str) -> None:
    assert last_message(tail) == said


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30), max_size=10),
    st.integers(1, 40),
)
def test_reading_in_pieces_gives_the_same_lines_as_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], piece: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "a.log"
    data = "".join(f"{text}\n" for text in texts).encode()
    follower, found = follower_of(log), []
    for start in range(0, len(data), piece):
        with log.open("ab") as file:
            file.write(data[start : start + piece])
        found += [entry.fields for entry in follower.read()]
    log.with_suffix(".whole").write_bytes(data)
    assert found == [entry.fields for entry in follower_of(log.with_suffix(".whole")).read()]


def test_a_line_that_is_nested_too_deeply_is_shown_as_it_is() -> None:
    line = '{"message":' + "[" * 20_000 + "]" * 20_000 + "}"
    (entry,) = parse("gateway", [line])
    assert entry.fields["message"] == line

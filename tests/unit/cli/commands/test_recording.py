"""What `fairlead recording` and `fairlead replay` print, write and refuse."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli.commands import replay
from fairlead.cli.commands.recording import Action, command
from fairlead.contracts.recording import RECORD_DIR, read


def line(number: int, **changes: object) -> str:
    facts = {
        "time": f"2026-11-30T09:00:{number:02}Z",
        "id": f"request-{number}",
        "model": "iris",
        "version": "1.0.0",
        "protocol": "v2",
        "status": 200,
        "ms": 1.5,
        "rows": [{"x": 1.0}, {"x": 2.0}],
        "answers": [{"y": 1.0}, {"y": 2.0}],
    }
    return json.dumps(facts | changes) + "\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    ring = tmp_path / "recordings" / "iris" / "1.0.0" / "ring-1"
    ring.mkdir(parents=True)
    (ring / "0000000000002.jsonl").write_text(line(2) + line(3, status=500, answers=None) + line(4)[:30])
    (ring / "0000000000001.jsonl").write_text(line(1, hidden={"name": "hashed"}))
    other = tmp_path / "recordings" / "other" / "2" / "ring-2"
    other.mkdir(parents=True)
    (other / "0000000000001.jsonl").write_text(line(0, model="other", version="2"))
    return tmp_path


def test_a_recording_is_listed_by_model_and_version(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(Action.LIST, None, state=place)
    said = capsys.readouterr()
    [_, iris, other] = [one.split() for one in said.out.splitlines()]
    assert iris == ["iris", "1.0.0", "3", "6", "1", "2026-11-30T09:00:01Z", "2026-11-30T09:00:03Z", "name"]
    assert other[:4] == ["other", "2", "1", "2"]
    assert "1 lines cannot be read" in said.err
    command(Action.LIST, place / "recordings", model="other", as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["requests"] == 1


def test_requests_are_fetched_in_the_order_of_time_into_a_file_for_nobody_else(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = place / "fetched.jsonl"
    to.write_text("older")
    to.chmod(0o644)
    command(Action.FETCH, place / "recordings", to=to)
    assert to.stat().st_mode & 0o777 == 0o600
    assert [one.id for one in read(to).requests] == ["request-0", "request-1", "request-2", "request-3"]
    capsys.readouterr()
    command(Action.FETCH, place / "recordings", model="iris", version="1.0.0")
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_requests_of_a_file_that_somebody_has_put_together_are_fetched_in_the_order_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pods.jsonl"
    file.write_text(line(3) + line(1) + line(2))
    command(Action.FETCH, file)
    assert [json.loads(one)["id"] for one in capsys.readouterr().out.splitlines()] == [
        "request-1",
        "request-2",
        "request-3",
    ]


def test_a_fetched_line_has_no_character_that_a_terminal_would_obey(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(line(1, rows=["\x9b31m"]).replace("\\u009b", "\x9b").replace(", ", ",\t"))
    command(Action.FETCH, tmp_path)
    said = capsys.readouterr().out.rstrip("\n")
    assert said.isprintable()
    assert json.loads(said)["rows"] == ["\x9b31m"]


@pytest.mark.parametrize("action", [Action.LIST, Action.FETCH])
def test_a_recording_is_not_held_in_memory(tmp_path: Path, action: Action) -> None:
    for number, ring in enumerate(("ring-1", "ring-2")):
        for file in range(4):
            name = tmp_path / ring / f"{file:013}.jsonl"
            name.parent.mkdir(exist_ok=True)
            name.write_text("".join(line(file * 10 + number, rows=[{"x": "y" * 1000}]) for _ in range(250)))
    to = tmp_path / "fetched.json" if action is Action.FETCH else None
    command(action, tmp_path, to=to)  # what is imported and built once does not count
    tracemalloc.start()
    try:
        command(action, tmp_path, to=to)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 500_000  # of 2 MB


@pytest.mark.parametrize("target", ["other", None])
def test_only_a_file_is_replaced_by_what_is_fetched(place: Path, target: str | None) -> None:
    to = place / "to"
    if target is None:
        os.mkfifo(to)
    else:
        (place / target).write_text("kept")
        to.symlink_to(place / target)
    with pytest.raises(errors.Invalid, match="is no file to write to") as raised:
        command(Action.FETCH, place / "recordings", to=to)
    assert raised.value.hint
    assert to.is_symlink() or to.is_fifo()


@pytest.mark.parametrize("changes", [{"model": "m\u20ac"}, {"model": "../x"}, {"time": "0001-01-01T00:00:00+14:00"}])
def test_a_line_with_a_name_of_no_model_or_a_time_of_no_calendar_is_no_request(
    place: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str]
) -> None:
    (place / "recordings" / "damaged.jsonl").write_text(line(1, **changes))
    command(Action.LIST, place / "recordings")
    assert "2 lines cannot be read" in capsys.readouterr().err


def test_in_the_environment_of_a_service_its_own_folder_is_read(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RECORD_DIR, str(place / "recordings" / "other"))
    command(Action.LIST, None)
    assert "iris" not in capsys.readouterr().out


def test_nothing_recorded_is_an_error_that_says_how_to_record(place: Path) -> None:
    with pytest.raises(errors.NotFound, match="no recording") as raised:
        command(Action.LIST, place / "nothing")
    with pytest.raises(errors.NotFound, match="no request of third") as raised:
        command(Action.LIST, place / "recordings", model="third")
    assert "RECORD_SHARE" in str(raised.value.hint)


@pytest.mark.parametrize("given", ["age", "=3", "age=three", "image=@/no/such/file"])
def test_a_value_to_fill_in_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(errors.Invalid, match="--fill"):
        replay._filled(given)


def test_a_value_to_fill_in_is_json_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff")
    assert replay._filled('name="Ada"') == ("name", "Ada")
    assert replay._filled(f"image=@{tmp_path / 'picture'}") == ("image", "/w==")

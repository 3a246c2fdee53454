import json
import logging

from fairlead.logs import JsonLines


def line(**changes: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "n", "levelname": "ERROR", "msg": "a %s", "args": ("b",)} | changes)
    text = JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, object] = json.loads(text)
    return parsed


def test_a_record_is_one_json_line_with_its_extra_fields() -> None:
    assert (
        line(request_id="r").items()
        >= {
            "level": "error",
            "logger": "n",
            "message": "a b",
            "request_id": "r",
        }.items()
    )


def test_a_traceback_and_a_value_that_is_not_json_are_logged_on_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        parsed = line(exc_info=(ValueError, error, error.__traceback__), path=object())
    assert "ValueError: first\nsecond" in str(parsed["traceback"])
    assert "object" in str(parsed["path"])

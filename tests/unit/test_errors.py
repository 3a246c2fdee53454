from __future__ import annotations

import inspect
import traceback

import pytest

from fairlead import errors

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.FairleadError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_carries_a_message_and_a_hint(kind: type[errors.FairleadError]) -> None:
    error = kind("what happened", hint="what to do")
    assert (str(error), error.message, error.hint) == ("what happened", "what happened", "what to do")


def test_a_traceback_shows_the_hint() -> None:
    shown = "".join(traceback.format_exception(errors.Invalid("what happened", hint="what to do")))
    assert shown.endswith("what happened\nwhat to do\n")


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_in_the_tree_of_the_docstring(kind: type[errors.FairleadError]) -> None:
    drawn = [line.strip("|+- ").split(" ")[0] for line in (errors.__doc__ or "").splitlines()]
    assert kind.__name__ in drawn


def test_the_tree_in_the_docstring_is_indented_like_the_inheritance() -> None:
    path: list[tuple[int, type]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.strip("|+- ").split(" ")[0]
        kind = getattr(errors, name, None)
        if isinstance(kind, type):
            depth = line.index(name)
            path = [(at, above) for at, above in path if at < depth]
            assert not path or kind.__bases__ == (path[-1][1],)
            path.append((depth, kind))


def test_invalid_names_every_field() -> None:
    detail = errors.Detail(loc=("body", 0, "length"), msg="too long", type="less_than")
    assert errors.Invalid("wrong", details=[detail]).details == (detail,)


def test_overloaded_says_when_to_retry() -> None:
    assert errors.Overloaded("full", retry_after_s=7).retry_after_s == 7

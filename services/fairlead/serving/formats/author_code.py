"""Runs code of a model's author: what it raises, even `sys.exit()`, becomes a failure of the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead import errors


@contextmanager
def author_code(failure: str) -> Iterator[None]:
    """Run author's code in this block; `failure` begins the message, such as "load failed".

    Raises ModelFailed for everything that is not one of our own errors. Ctrl-C of a user passes.
    """
    try:
        yield
    except errors.FairleadError:
        raise
    except KeyboardInterrupt as cause:
        if threading.current_thread() is threading.main_thread():
            raise
        raise errors.ModelFailed(f"{failure}: {described(cause)}") from cause
    except BaseException as cause:  # the author's code may raise anything, and may call sys.exit()
        raise errors.ModelFailed(f"{failure}: {described(cause)}") from cause


def described(cause: BaseException) -> str:
    """The type and the message of an author's exception; of an error of ours, only the message."""
    if isinstance(cause, errors.FairleadError):
        return cause.message
    if isinstance(cause, SystemExit):
        return f"the model's code ended the process: sys.exit({'' if cause.code is None else repr(cause.code)})"
    return f"{type(cause).__name__}: {cause}"

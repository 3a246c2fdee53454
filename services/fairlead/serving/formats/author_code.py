"""Runs code of a model's author: what it raises, even `sys.exit()`, becomes a failure of the model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairlead import errors
from fairlead.contracts import requirements

PACKAGE_PREFIX = "fairlead_folder_"
"""How the package begins that the code of a model folder becomes (`entry.Code`)."""
_BELONGS = (
    f"in {requirements.FILE} of the model folder: the image build installs it, and on one machine `fairlead check` "
    "then prints the command that does."
)


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
        raise errors.ModelFailed(f"{failure}: {described(cause)}", hint=hint_of(cause)) from cause


def described(cause: BaseException) -> str:
    """The type and the message of an author's exception; of an error of ours, only the message."""
    if isinstance(cause, errors.FairleadError):
        return cause.message
    if isinstance(cause, SystemExit):
        return f"the model's code ended the process: sys.exit({'' if cause.code is None else repr(cause.code)})"
    return f"{type(cause).__name__}: {cause}"


def hint_of(cause: BaseException) -> str | None:
    """What to do about an exception: the hint of an error of ours, or where a package belongs that is not there."""
    if isinstance(cause, errors.FairleadError):
        return cause.hint
    if not isinstance(cause, ImportError):
        return None
    top, _, inner = (cause.name or "").partition(".")
    if not top:  # a library says in its own words which other one it needs
        return f"Name the package {_BELONGS}"
    if top.startswith(PACKAGE_PREFIX):
        if inner and not isinstance(cause, ModuleNotFoundError):
            return None  # the file is there, and lacks the name
        return f"Put {_file(inner) if inner else 'that file'} into the model folder: {_copied(inner or '...')}"
    if isinstance(cause, ModuleNotFoundError) and not _is_here(top):
        return (
            f"Nothing that is installed here provides {top}. Name its package {_BELONGS} If {top} is a file of yours, "
            f"put it into the model folder: {_copied(top)}"
        )
    for library in importlib.metadata.packages_distributions().get(top, ())[:1]:
        return (
            f"{library} {importlib.metadata.version(library)} is installed and has no such name. Pin the version that "
            f"the model needs in {requirements.FILE} of the model folder."
        )
    return None


def _is_here(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


def _file(module: str) -> str:
    return module if module == "..." else f"{module.replace('.', '/')}.py"


def _copied(module: str) -> str:
    return f"write_folder copies code=[Path({_file(module)!r})]."

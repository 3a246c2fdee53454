"""Refuses, when a folder is written, a pickle or a file of skops that only the training script can read.

Such a file holds a class or a function by its name. Names of the training script (`__main__`) and of modules beside it
exist while the script runs, so the folder would load there and nowhere else.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.formats import KINDS
from fairlead.serving.formats.pickle import PROTOCOL

_LOAD = """
import sys
from pathlib import Path
from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.made_up_rows import MadeUp
try:
    load_folder(Path(sys.argv[1])).start(MadeUp(skipped="only the pickle is looked at"))
except errors.FairleadError as error:
    sys.exit(error.message)
"""
_LAMBDA_HINT = (
    "Write a function with a name in model.py, import it from there (`from model import ...`), and pass "
    "code=[Path('model.py')]."
)


def holds(name: str, value: Any) -> bool:
    """Whether the artifact that this format writes of `value` has objects, with the names of their classes."""
    kind = KINDS.get(name)
    if kind is None or not (kind.pickles or kind.names_types):
        return False
    return kind.pickles or not isinstance(value, str | Path)  # a file is copied


def foreign_modules(value: Any, code: frozenset[str]) -> list[types.ModuleType]:
    """The modules that the pickle of `value` needs and that are neither installed nor among `code`, by their names.

    Raises Invalid if the pickle would need the training script itself, or cannot be written.
    """
    names = _Names()
    try:
        names.dump(value)
    except Exception as cause:  # pickling calls the code of any class
        raise _cannot_be_pickled(names.last, cause) from cause
    if of_the_script := sorted(name for module, name in names.found if module == "__main__"):
        name = of_the_script[0]
        raise errors.Invalid(
            f"the artifact needs {name} of the training script, which is not in the model folder",
            hint=f"Move {name} to model.py, import it from there (`from model import {name}`), and pass "
            "code=[Path('model.py')].",
        )
    tops = {module.partition(".")[0] for module, _ in names.found} - code - sys.stdlib_module_names
    return [sys.modules[top] for top in sorted(tops) if top in sys.modules and not _is_installed(sys.modules[top])]


def check_it_loads(folder: Path, foreign: list[types.ModuleType]) -> None:
    """Load the model in a process that does not see the training script's folder. Raises Invalid if it fails there."""
    command = [sys.executable, "-P", "-c", _LOAD, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        files = ", ".join(f"Path('{Path(str(module.__file__)).name}')" for module in foreign)
        raise errors.Invalid(
            f"the model does not load in a process of its own: {last}",
            hint=f"Pass the files that it needs: code=[..., {files}].",
        )


class _Names(pickle.Pickler):
    """Pickles to nowhere and collects the classes and functions that a pickle holds by their names."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=PROTOCOL, buffer_callback=lambda _: None)  # large arrays are not copied
        self.found: set[tuple[str, str]] = set()
        self.last: object = None

    def persistent_id(self, obj: object) -> None:
        """Called for every object before it is pickled; None pickles it as usual."""
        if isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType):
            self.last = obj
            self.found.add((str(obj.__module__), obj.__qualname__))


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def _cannot_be_pickled(last: object, cause: Exception) -> errors.Invalid:
    if isinstance(last, types.FunctionType) and "<" in last.__qualname__:  # <lambda>, or within <locals>
        place = f"{Path(last.__code__.co_filename).name}, line {last.__code__.co_firstlineno}"
        if last.__name__ == "<lambda>":
            return errors.Invalid(f"the artifact cannot hold the lambda of {place}", hint=_LAMBDA_HINT)
        message = f"the artifact cannot hold {last.__name__} of {place}: it is defined in another function"
        return errors.Invalid(message, hint=_LAMBDA_HINT)
    return errors.Invalid(f"the value cannot be pickled: {cause}", hint="Keep only what `predict` needs in the value.")


def _is_installed(module: types.ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    paths = sysconfig.get_paths()
    return file is None or any(Path(file).is_relative_to(paths[key]) for key in ("purelib", "platlib"))

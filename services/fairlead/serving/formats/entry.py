"""Imports the Python code of a model folder, isolated from the code of other folders.

Each time a folder is loaded, its code becomes a package with a unique name, so two folders can both have a `model.py`.
Relative imports (`from . import features`) always work. Absolute imports (`import features`), and pickles whose class
is in the module `model`, work while the folder is being imported and loaded. During that time the folder's modules can
be imported by their short names. Afterwards `sys.modules`, `sys.meta_path` and `sys.path` are restored.
"""

from __future__ import annotations

import importlib
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.model import Model
from fairlead.serving.formats import methods
from fairlead.serving.formats.author_code import PACKAGE_PREFIX, author_code

_IMPORT_LOCK = threading.RLock()  # sys.modules and sys.meta_path are global: one folder at a time may change them


@dataclass(frozen=True)
class Code:
    """The Python code of a model folder, under its unique package name."""

    folder: Path
    package: str

    @classmethod
    def of(cls, folder: Path) -> Code:
        """Choose a unique package name for the folder's code. Imports nothing."""
        return cls(folder=folder, package=f"{PACKAGE_PREFIX}{uuid.uuid4().hex}")

    def model_class(self, entry: str) -> type[Model[Any, Any]]:
        """Import the class that `module:Class` names. Raises Invalid, or ModelFailed if the author's code raises.

        It has the types of rows and answers, unless it defines `predict_tensors`.
        """
        class_name, found = entry.partition(":")[2], self._named(entry)
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise _invalid(entry, f"{class_name} is not a fairlead.Model")
        typed, of_arrays = hasattr(found, "row_type"), methods.answering(found) == "predict_tensors"
        if of_arrays and typed:
            hint = f"Write `class {class_name}(fairlead.Model)`: `inputs` and `outputs` of the manifest are its types."
            raise _invalid(entry, f"{class_name} defines predict_tensors, and has types of rows and answers", hint)
        if not of_arrays and not typed:
            raise _invalid(
                entry, f"{class_name} declares no types: write `class {class_name}(fairlead.Model[Row, Answer])`"
            )
        try:
            methods.check(found)
        except errors.Invalid as problem:
            raise _invalid(entry, problem.message, problem.hint) from None
        return found

    def factory(self, entry: str) -> Callable[[], Any]:
        """Import the class or function that `module:name` names. Raises Invalid, or ModelFailed as `model_class`."""
        found = self._named(entry)
        if isinstance(found, type) and issubclass(found, Model):
            hint = "Name the class of the network, or read the artifact yourself with `format: python`."
            raise _invalid(entry, f"{found.__name__} is a fairlead.Model, which this format makes itself", hint)
        if not callable(found):
            raise _invalid(entry, f"a {type(found).__name__} is neither a class nor a function")
        made: Callable[[], Any] = found
        return made

    def _named(self, entry: str) -> Any:
        module_name, _, name = entry.partition(":")
        with self.short_names():
            module = self._imported(module_name, entry)
        if (found := getattr(module, name, None)) is None:
            raise _invalid(entry, f"{module_name}.py defines no {name!r}")
        return found

    def _imported(self, module_name: str, entry: str) -> types.ModuleType:
        path = self.folder.joinpath(*module_name.split("."))
        if not (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()):
            file = f"{module_name.replace('.', '/')}.py"
            raise _invalid(entry, f"the model folder has no {file}", f"write_folder copies it: code=[Path({file!r})].")
        with author_code(f"importing {module_name}.py failed"):
            return importlib.import_module(f"{self.package}.{module_name}")

    @contextmanager
    def short_names(self) -> Iterator[None]:
        """Inside this block, the folder's modules can also be imported by their short names."""
        names = frozenset(_top_level_names(self.folder)) - sys.stdlib_module_names
        finder = _Finder(self.package, names)
        with _IMPORT_LOCK:
            writes_bytecode, sys.dont_write_bytecode = (
                sys.dont_write_bytecode,
                True,
            )  # Python must not write __pycache__ into a model folder
            sys.modules.setdefault(self.package, _package(self.package, self.folder))
            hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
            sys.meta_path.insert(0, finder)
            importlib.invalidate_caches()
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                for name in [name for name in sys.modules if name.partition(".")[0] in names]:
                    del sys.modules[name]
                sys.modules.update(hidden)
                sys.dont_write_bytecode = writes_bytecode


class _Finder(MetaPathFinder, Loader):
    """Resolves `import features` to `<package>.features`: one module object under both names."""

    def __init__(self, package: str, names: frozenset[str]) -> None:
        self._package = package
        self._names = names

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname.partition(".")[0] in self._names else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        # The import system returns the module that it then finds in sys.modules; this is the documented way.
        sys.modules[module.__name__] = importlib.import_module(f"{self._package}.{module.__name__}")


def _package(name: str, folder: Path) -> types.ModuleType:
    package = types.ModuleType(name, f"The code of the model folder {folder}.")
    package.__path__ = [str(folder)]
    return package


def _top_level_names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            yield path.stem


def _invalid(entry: str, problem: str, hint: str | None = None) -> errors.Invalid:
    return errors.Invalid(f"fairlead.yaml: entry: {entry!r}: {problem}", hint=hint)

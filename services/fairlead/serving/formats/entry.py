"""Importing a model folder's own code, apart from everybody else's.

Every import of a folder makes a package of a name nobody else has, so two folders may both have a `model.py`. Inside
it, `from . import features` always works. `import features`, and a pickle that says its class lives in `model`, work
while the folder is being imported and loaded: for that long the folder's modules answer to their short names, and
afterwards `sys.modules`, `sys.meta_path` and `sys.path` are as they were.
"""

from __future__ import annotations

import importlib
import sys
import threading
import types
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.model import Model

_IMPORT_LOCK = threading.RLock()  # the import system's tables belong to the process, so only one folder may borrow them


@dataclass(frozen=True)
class Code:
    """A folder's Python code under its private package name."""

    folder: Path
    package: str

    @classmethod
    def of(cls, folder: Path) -> Code:
        """Give the folder's code a name of its own. Nothing is imported yet."""
        return cls(folder=folder, package=f"fairlead_folder_{uuid.uuid4().hex}")

    def model_class(self, entry: str) -> type[Model[Any, Any]]:
        """The class that `module:Class` names."""
        module_name, _, class_name = entry.partition(":")
        with self.short_names():
            module = self._imported(module_name, entry)
        found = getattr(module, class_name, None)
        if found is None:
            raise _invalid(entry, f"{module_name}.py defines no {class_name!r}")
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise _invalid(entry, f"{class_name} is not a fairlead.Model")
        if not (hasattr(found, "row_type") and hasattr(found, "answer_type")):
            raise _invalid(
                entry, f"{class_name} does not say its types: write `class {class_name}(fairlead.Model[Row, Answer])`"
            )
        return found

    def _imported(self, module_name: str, entry: str) -> types.ModuleType:
        path = self.folder.joinpath(*module_name.split("."))
        if not (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()):
            raise _invalid(entry, f"there is no {module_name.replace('.', '/')}.py in {self.folder}")
        try:
            return importlib.import_module(f"{self.package}.{module_name}")
        except Exception as cause:  # the author's code: it may raise anything, and must not look like ours
            raise errors.ModelFailed(f"importing {module_name}.py failed: {type(cause).__name__}: {cause}") from cause

    @contextmanager
    def short_names(self) -> Iterator[None]:
        """While this lasts, the folder's modules can be imported by their short names too."""
        names = frozenset(_top_level_names(self.folder)) - sys.stdlib_module_names
        finder = _Finder(self.package, names)
        with _IMPORT_LOCK:
            writes_bytecode, sys.dont_write_bytecode = (
                sys.dont_write_bytecode,
                True,
            )  # a model folder is read, not written
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
    """Answers `import features` with `<package>.features`, one module object under both names."""

    def __init__(self, package: str, names: frozenset[str]) -> None:
        self._package = package
        self._names = names

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname.partition(".")[0] in self._names else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        # The import system takes what it then finds in sys.modules: the documented way to answer with another module.
        sys.modules[module.__name__] = importlib.import_module(f"{self._package}.{module.__name__}")


def _package(name: str, folder: Path) -> types.ModuleType:
    package = types.ModuleType(name, f"The code of the model folder {folder}.")
    package.__path__ = [str(folder)]
    return package


def _top_level_names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            yield path.stem


def _invalid(entry: str, problem: str) -> errors.Invalid:
    return errors.Invalid(f"fairlead.yaml: entry: {entry!r}: {problem}")

"""Finds the libraries whose versions an artifact depends on: those whose objects it pickles, those its code imports.

A pickle holds private attributes of the objects of its libraries. It is observed when it is read, whoever reads it and
in whatever file format: the format's adapter, `joblib.load` in a class, `torch.load`. Two things are seen: the names
that it looks up, from Python's audit events, and the warnings of libraries that notice another version themselves.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import pickle
import re
import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STABLE = frozenset({"fairlead", "joblib", "numpy"})
"""Distributions that need no version: numpy keeps the form of pickled arrays, or says that it cannot read them."""
STABLE_MODULES = ("scipy.sparse",)

SIGNS = (
    (
        "scikit-learn",
        re.compile(r"Trying to unpickle estimator \S+ from version (\S+) when using version (\S+?)\.?(\s|$)"),
    ),
    ("spacy", re.compile(r"\[W095\] .* was trained with spaCy v?(\S+) and .* current version \(([^)]+)\)")),
    ("spacy", re.compile(r"\[W031\] .* requires spaCy v?(\S+) and .* spaCy version \(([^)]+)\)")),
    ("xgboost", re.compile(r"loading a serialized model \(like pickle in Python|model saved before XGBoost")),
    ("torch", re.compile(r"source code of class '.*' has changed")),
)
"""What libraries say if another version wrote the artifact. The groups, if any, are that version and the own one."""


@dataclass(frozen=True)
class Skew:
    """A library said that another version wrote the artifact. `built` and `here` are empty if it named no versions."""

    library: str
    built: str
    here: str
    message: str


@dataclass
class Seen:
    """What was seen while an artifact was read: the module and name of each global, and the skews."""

    names: set[tuple[str, str]] = field(default_factory=set)
    skews: list[Skew] = field(default_factory=list)

    def libraries(self) -> set[str]:
        """The distributions whose objects were unpickled, and whose versions nothing has checked so far."""
        found = distributions(module for module, _ in self.names)
        return found - {"scikit-learn"} if self._scikit_learn_vouches() else found

    def _scikit_learn_vouches(self) -> bool:
        """Whether an estimator of scikit-learn was read: each holds its version, and warns if it is another."""
        base = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
        kinds = (getattr(sys.modules.get(module), name, None) for module, name in self.names)
        return base is not None and any(isinstance(kind, type) and issubclass(kind, base) for kind in kinds)


@contextmanager
def observed() -> Iterator[Seen]:
    """Observe every unpickling in this block, on all threads. Blocks must not overlap."""
    _install_hook()
    seen, given = Seen(), warnings.warn

    def warn(message: Any, category: Any = None, stacklevel: int = 1, *args: Any, **kwargs: Any) -> None:
        if skew := skew_of(str(message)):
            seen.skews.append(skew)  # before any filter: a model often ignores all warnings
        else:
            given(message, category, stacklevel + 1, *args, **kwargs)

    warnings.warn = warn
    _readers.append(seen)
    try:
        yield seen
    finally:
        _readers.remove(seen)
        warnings.warn = given


def note(names: Iterable[tuple[str, str]]) -> None:
    """Add the module and name of each class that a format other than a pickle has built objects of."""
    for seen in _readers:
        seen.names.update(names)


def skew_of(message: str) -> Skew | None:
    """The skew that a warning tells of, or None."""
    line = " ".join(message.split())
    for library, sign in SIGNS:
        if found := sign.search(line):
            built, here = found.groups()[:2] if found.groups() else ("", "")
            return Skew(library, built, here, line)
    return None


def pickled_by(value: Any) -> set[str]:
    """The distributions that the pickle of an object refers to. Raises what pickling it raises."""
    modules: set[str] = set()

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            is_global = isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType)
            modules.add(str(getattr(obj if is_global else type(obj), "__module__", "")))
            return NotImplemented

    Pickler(_Nowhere(), protocol=5, buffer_callback=lambda _: None).dump(value)
    return distributions(modules)


def imported_by(code: Iterable[Path]) -> set[str]:
    """The distributions that Python files import, except those that the service itself needs."""
    files = list(code)
    modules = {module for file in files for module in _imports(file)} - {file.stem for file in files}
    return distributions(modules) - _needed_by_the_service()


def canonical(library: str) -> str:
    """A distribution's name in the one form that all spellings of it share."""
    return re.sub(r"[-_.]+", "-", library).lower()


def distributions(modules: Iterable[str]) -> set[str]:
    """The installed distributions of modules, as the package index names them. Not those that need no version."""
    unstable = {module.partition(".")[0] for module in modules if not module.startswith(STABLE_MODULES)}
    owners = _owners() if unstable else {}
    return {owner for module in unstable for owner in map(canonical, owners.get(module, ()))} - STABLE


_owners = functools.cache(importlib.metadata.packages_distributions)
_readers: list[Seen] = []


@functools.cache
def _install_hook() -> None:
    """Python has no way to remove the hook. While no artifact is read it does nothing."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if _readers and event == "pickle.find_class":
            for seen in _readers:
                seen.names.add((args[0], args[1]))

    sys.addaudithook(hook)


@functools.cache
def _needed_by_the_service() -> frozenset[str]:
    try:
        stated = importlib.metadata.requires("fairlead") or []
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    return frozenset(canonical(re.split(r"[^\w.-]", one)[0]) for one in stated if "extra ==" not in one)


def _imports(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so, with the line
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

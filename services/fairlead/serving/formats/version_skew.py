"""Compares the installed library versions with those that the artifact was built with.

`built_with` of the manifest names them, and a library may name its own: scikit-learn writes its version into each
estimator. A library whose objects the artifact pickles, and whose version nothing tells, is a skew too.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import pickle_libraries

logger = logging.getLogger(__name__)


ALLOWED = "If you have tested the combination, set `version_skew: warn` in fairlead.yaml."
DIFFERS = f"Install the version it was built with, or train again with this one. {ALLOWED}"


def check(manifest: Manifest) -> None:
    """Raise Refused if a library's major.minor differs from the manifest's. With `version_skew: warn`, log it."""
    _report(manifest, list(skewed(manifest.built_with, installed).values()), DIFFERS)


@contextmanager
def checked_while_loading(manifest: Manifest) -> Iterator[None]:
    """Check the versions of the libraries whose objects are unpickled in this block. Raises Refused, or logs it."""
    with pickle_libraries.observed() as seen:
        try:
            yield
        except Exception as cause:
            if told := told_by_libraries(seen.skews):  # the likely reason, and a better one than the library's
                _report(manifest, [*told, f"loading it failed: {type(cause).__name__}: {cause}"], DIFFERS)
            raise
    _report(manifest, told_by_libraries(seen.skews), DIFFERS)
    if unknown := sorted(seen.libraries() - set(map(pickle_libraries.canonical, manifest.built_with))):
        wanted = {library: installed(library) for library in unknown}
        line = ", ".join(f'{library}: "{version}"' for library, version in wanted.items())
        problem = f"nothing says which version of {', '.join(unknown)} wrote the artifact, which holds its objects"
        hint = (
            "Add the versions that it was trained with to `built_with` in fairlead.yaml; "
            f"for the versions that are installed here: `built_with: {{{line}}}`. {ALLOWED}"
        )
        _report(manifest, [problem], hint)


def told_by_libraries(skews: Iterable[pickle_libraries.Skew]) -> list[str]:
    """What is wrong according to the libraries' own warnings, each once. Patch releases fit, as in `built_with`."""
    problems = {}
    for skew in skews:
        if not skew.built:
            problems[skew.message] = f"{skew.library} warned: {skew.message}"
        elif _major_minor(skew.built) != _major_minor(skew.here):
            problems[skew.library] = f"built with {skew.library} {skew.built}, but {skew.here} is installed"
    return list(problems.values())


def _report(manifest: Manifest, problems: list[str], hint: str) -> None:
    if not problems:
        return
    message = f"{manifest.name} {manifest.version}: " + "; ".join(problems)
    if manifest.version_skew != "warn":
        raise errors.Refused(message, hint=hint)
    logger.warning("%s", message)


def skewed(built_with: Mapping[str, str], version_of: Callable[[str], str | None]) -> dict[str, str]:
    """Map each library whose version does not fit to what is wrong. Empty if all fit."""
    problems = {}
    for library, built in sorted(built_with.items()):
        here = version_of(library)
        if here is None:
            problems[library] = f"built with {library} {built}, which is not installed"
        elif _major_minor(here) != _major_minor(built):
            problems[library] = f"built with {library} {built}, but {here} is installed"
    return problems


def installed(library: str) -> str | None:
    """The installed version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _major_minor(version: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", version)[:2])

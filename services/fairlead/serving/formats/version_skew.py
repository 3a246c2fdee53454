"""Compares the installed library versions with those that the artifact was built with (`built_with`)."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Callable, Mapping

from fairlead import errors
from fairlead.contracts.manifest import Manifest

logger = logging.getLogger(__name__)


def check(manifest: Manifest) -> None:
    """Raise Refused if a library's major.minor differs from the manifest's. With `version_skew: warn`, log it."""
    problems = skewed(manifest.built_with, installed)
    if not problems:
        return
    message = f"{manifest.name} {manifest.version}: " + "; ".join(problems.values())
    if manifest.version_skew == "warn":
        logger.warning("%s", message)
        return
    raise errors.Refused(
        message,
        hint="Install the version it was built with, or train again with this one. "
        "If you have tested the combination, set `version_skew: warn` in fairlead.yaml.",
    )


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

"""Is what the artifact was built with what is here?"""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Callable, Mapping

from fairlead import errors
from fairlead.contracts.manifest import Manifest

logger = logging.getLogger(__name__)


def check(manifest: Manifest) -> None:
    """Refuse, or with `version_skew: warn` log, libraries whose major.minor differs from the manifest's."""
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
        "If you have tested the combination, say `version_skew: warn` in fairlead.yaml.",
    )


def skewed(built_with: Mapping[str, str], version_of: Callable[[str], str | None]) -> dict[str, str]:
    """Library -> what is wrong with it; empty when all of them fit."""
    problems = {}
    for library, built in sorted(built_with.items()):
        here = version_of(library)
        if here is None:
            problems[library] = f"built with {library} {built}, which is not installed"
        elif _major_minor(here) != _major_minor(built):
            problems[library] = f"built with {library} {built}, but {here} is installed"
    return problems


def installed(library: str) -> str | None:
    """The version of a distribution in this environment."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _major_minor(version: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", version)[:2])

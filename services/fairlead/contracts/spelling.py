"""How commands that we print name a version, so that they are accepted. Imports nothing: the action client uses it."""

from __future__ import annotations

VERSION_PREFIX = "version:"
"""`--to version:3` is version 3, never revision 3. No version's name contains a colon."""


def to_option(version: str) -> str:
    """The value of `--to` that means this version, whatever revisions there are: 1.0.0 or version:3."""
    return f"{VERSION_PREFIX}{version}" if version.isdigit() else version

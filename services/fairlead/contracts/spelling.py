"""Rules for texts that users type: how `--to` names a version, how long a reason may be.

Imports nothing: the action client uses it, and an on-call engineer's rollback must not wait for imports.
"""

from __future__ import annotations

VERSION_PREFIX = "version:"
"""`--to version:3` is version 3, never revision 3. No version's name contains a colon."""

MAX_REASON = 1000
"""The longest reason of a command or an action, in characters. Older ledgers may have longer ones."""


def reason_too_long(reason: str) -> str:
    """Why a reason is refused; empty if it is not."""
    return f"the reason has {len(reason):,} characters; at most {MAX_REASON:,} are stored" * (len(reason) > MAX_REASON)


def to_option(version: str) -> str:
    """The value of `--to` that means this version, whatever revisions there are: 1.0.0 or version:3."""
    return f"{VERSION_PREFIX}{version}" if version.isdigit() else version

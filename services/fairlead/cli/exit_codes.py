"""Exit codes, in one place. docs/cli.md lists them, and a test compares the two."""

from __future__ import annotations

from fairlead import errors

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
CONFLICT = 5
UNAVAILABLE = 6
ROLLED_BACK = 10
HELD = 11
TIMED_OUT = 12

MEANING = {
    OK: "done; for `wait`: promoted",
    FAILED: "the thing checked is not in order (`check`, `rehearse`, `history --verify`), or the model failed",
    USAGE: "wrong usage: an argument, a file or a folder cannot be used as it is",
    NOT_FOUND: "no such model, version, revision or folder",
    REFUSED: "a rule refused it; the message names the rule",
    CONFLICT: "somebody else wrote first, or it contradicts the present state",
    UNAVAILABLE: "the platform is not running, or something it needs does not answer",
    ROLLED_BACK: "`wait`: the rollout was rolled back",
    HELD: "`wait`: the rollout waits for a person (paused, or an approval is due)",
    TIMED_OUT: "`wait`: still going on when the time was over",
}

_CODES: tuple[tuple[type[errors.FairleadError], int], ...] = (
    (errors.Invalid, USAGE),
    (errors.NotFound, NOT_FOUND),
    (errors.Refused, REFUSED),
    (errors.Conflict, CONFLICT),
    (errors.Unavailable, UNAVAILABLE),
)


def code_of(error: errors.FairleadError) -> int:
    """The exit code for what was raised."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)

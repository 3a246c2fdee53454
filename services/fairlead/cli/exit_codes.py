"""The exit codes of every command. docs/cli.md lists them, and a test compares the two."""

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
DOWN = 13

MEANING = {
    OK: "success; for `wait`: the target serves everything",
    FAILED: (
        "a check failed (`check`, `diff`, `check-pool`, `doctor`, `rehearse`, `history --verify`), no number of "
        "`calibrate` is sure, or the model failed"
    ),
    USAGE: "wrong usage: an argument, a file or a folder is invalid",
    NOT_FOUND: "no such model, version, revision, file or folder",
    REFUSED: "a rule does not allow it; the message names the rule",
    CONFLICT: "another change was written first, or the request contradicts the current state",
    UNAVAILABLE: "the platform is not running, or a process that it needs does not respond",
    ROLLED_BACK: "`wait`: the rollout was rolled back",
    HELD: "`wait`: the rollout waits for a person (paused, or waiting for approval)",
    TIMED_OUT: "`wait`: the rollout was still in progress at the timeout",
    DOWN: "`wait`: the model is down: users get errors, promoted or not",
}

_CODES: tuple[tuple[type[errors.FairleadError], int], ...] = (
    (errors.Invalid, USAGE),
    (errors.NotFound, NOT_FOUND),
    (errors.Refused, REFUSED),
    (errors.Conflict, CONFLICT),
    (errors.Unavailable, UNAVAILABLE),
)


def code_of(error: errors.FairleadError) -> int:
    """The exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)

"""What binds an action to the attempt that a person saw. Without pydantic: a rollback does not wait for its import."""

from __future__ import annotations

BINDING = ("attempt", "step", "generation")
"""The fields of an action that `bound` sets."""
_RAISES = ("approve", "promote")
"""Requests that raise the candidate's weight: never that of an attempt which was not seen."""


def bound(verb: str, attempt: int, step: int, decided: int, generation: int) -> dict[str, int]:
    """The fields that bind an action: of the newest revision its attempt, its step and the generation it decided on.

    `generation` is that of the spec. If the engine has not decided on it yet, the action is also meant for the attempt
    that this generation begins: who releases a version and rolls back at once means that version.
    """
    fields = {"attempt": attempt}
    if verb == "approve":
        fields["step"] = step
    if generation != decided and verb not in _RAISES:
        fields["generation"] = generation
    return fields

"""Codes and sessions: what is good once, for how long, and what becomes of too many."""

from __future__ import annotations

from fairlead.control.asking import Actor
from fairlead.control.console.sessions import CODE_S, MAX_KEPT, SESSION_S, Sessions

ADA = Actor("ada", True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_code_is_good_once() -> None:
    sessions = Sessions()
    code = sessions.invite(ADA, 7)
    secret = sessions.enter(code)
    assert secret is not None
    assert sessions.enter(code) is None
    found = sessions.find(secret)
    assert found is not None
    assert (found.actor, found.uid) == (ADA, 7)


def test_a_code_ends_and_so_does_a_session() -> None:
    clock = Clock()
    sessions = Sessions(monotonic=clock)
    late, code = sessions.invite(ADA, 7), sessions.invite(ADA, 7)
    secret = sessions.enter(code)
    assert secret is not None
    clock.now = CODE_S
    assert sessions.invited(late) is None
    assert sessions.enter(late) is None
    assert sessions.find(secret) is not None
    clock.now = SESSION_S
    assert sessions.find(secret) is None


def test_who_leaves_has_no_session_any_more() -> None:
    sessions = Sessions()
    secret = sessions.enter(sessions.invite(ADA, 7))
    assert secret is not None
    sessions.leave(secret)
    assert sessions.find(secret) is None


def test_the_oldest_ends_when_there_are_too_many() -> None:
    sessions = Sessions()
    codes = [sessions.invite(ADA, 7) for _ in range(MAX_KEPT + 1)]
    assert sessions.invited(codes[0]) is None
    assert all(sessions.invited(code) for code in codes[1:])


def test_an_unknown_secret_is_nobody() -> None:
    assert Sessions().find("") is None
    assert Sessions().enter("") is None

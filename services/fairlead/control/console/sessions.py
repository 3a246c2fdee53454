"""Who may act from the pages: the owner of the state folder, who got a code from the action socket.

A code is good once and for a short time. It is exchanged for a cookie, and the cookie alone changes nothing: each form
has a token of its session besides. Everything is kept in memory only, so a control plane that starts knows nobody.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead.control.asking import Actor

CODE_S = 120.0
"""How long a code can be used."""
SESSION_S = 12 * 3600.0
"""How long a session lasts."""
MAX_KEPT = 20
"""The oldest code, or session, ends when there would be more."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was signed in. `uid` is the user that signed in, None where the system does not tell it."""

    actor: Actor
    uid: int | None
    until: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """Codes and sessions. Any thread may use it."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._codes: dict[str, Session] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def invite(self, actor: Actor, uid: int | None) -> str:
        """A new code."""
        return self._kept(self._codes, Session(actor, uid, self._monotonic() + CODE_S))

    def invited(self, code: str) -> Session | None:
        """Whom the code is for; it stays good."""
        return self._found(self._codes, code)

    def enter(self, code: str) -> str | None:
        """The secret of a new session; None if the code was used, is too old, or was never given."""
        with self._lock:
            invited = self._codes.pop(code, None)
        if invited is None or invited.until <= self._monotonic():
            return None
        return self._kept(self._sessions, Session(invited.actor, invited.uid, self._monotonic() + SESSION_S))

    def find(self, secret: str) -> Session | None:
        """The session of this secret; None if there is none, or it has ended."""
        return self._found(self._sessions, secret)

    def leave(self, secret: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(secret, None)

    def _kept(self, among: dict[str, Session], session: Session) -> str:
        secret = secrets.token_urlsafe(32)
        with self._lock:
            among[secret] = session
            while len(among) > MAX_KEPT:
                del among[next(iter(among))]
        return secret

    def _found(self, among: dict[str, Session], secret: str) -> Session | None:
        with self._lock:
            found = among.get(secret)
        return found if found is not None and found.until > self._monotonic() else None

"""Carries out what a signed-in page asks for, and refuses everything that only looks like it.

A request must come from a page of this very host and port, with the cookie of a session, with the token of a form of
this session, and from a process of the user who signed in (or of root).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairlead import errors
from fairlead.contracts.action import Action, ActionType
from fairlead.control.asking import Asking
from fairlead.control.console import acts, connection_owner
from fairlead.control.console.connection_owner import Address
from fairlead.control.console.forms import read_form
from fairlead.control.console.place import Place
from fairlead.control.console.sessions import SESSION_S, Session, Sessions

PATH = "/console"
"""The cookie is sent to these paths only: those of models, on another port of the same host, never get it."""
FLEET = f"{PATH}/"
"""The first page, at a path to which the cookie is sent."""
_REQUEST = re.compile(r"[0-9a-f]{16}")


def new_request() -> str:
    """The name of a form that was not sent yet: sent twice, it is one request."""
    return secrets.token_hex(8)


class Acting:
    """The rights of the owner of a state folder, for the browsers that the owner signed in."""

    def __init__(
        self,
        sessions: Sessions,
        asking: Asking,
        place: Place,
        *,
        owner: Callable[[Address, Address], int | None] = connection_owner.owner,
    ) -> None:
        """Two platforms on one host have different cookies, by the name of their `place`."""
        self._sessions, self._asking, self._owner = sessions, asking, owner
        self._cookie = f"fairlead-{hashlib.sha256(place.name.encode()).hexdigest()[:8]}"
        self._how = place.with_options("fairlead console --act")

    def session(self, request: Request) -> Session | None:
        """The session of the browser; None if it has none."""
        return self._sessions.find(request.cookies.get(self._cookie, ""))

    def enter(self, request: Request) -> Response:
        """Exchange the code in the address for a cookie, and lead to the page. Raises Refused if it is not good."""
        code, model = request.query_params.get("code", ""), request.query_params.get("model", "")
        response: Response = RedirectResponse(f"/console/routes/{quote(model, safe='')}" if model else FLEET, 303)
        if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", ""):
            return response  # nobody has opened it yet
        invited = self._sessions.invited(code)
        secret = self._sessions.enter(code) if invited is not None and self._is_of(request, invited) else None
        if secret is None:
            raise errors.Refused(
                "this address signs nobody in: it is good once, within two minutes, for the user who asked for it",
                hint=f"ask for a new one: {self._how}",
            )
        response.set_cookie(self._cookie, secret, max_age=int(SESSION_S), path=PATH, httponly=True, samesite="strict")
        response.headers["cache-control"] = "no-store"
        return response

    async def leave(self, request: Request) -> Response:
        """End the session. Raises Refused if the request is not of one of its pages."""
        self._checked(request, await read_form(request))
        self._sessions.leave(request.cookies.get(self._cookie, ""))
        response = RedirectResponse("/", 303)
        response.delete_cookie(self._cookie, path=PATH, httponly=True, samesite="strict")
        return response

    async def act(self, request: Request, model: str) -> tuple[Action, list[str]]:
        """The action that a form asks for, with its outcome, and the versions that a refused rollback would take.

        Raises Refused if the request is not of a page of a session, and Invalid if it is none.
        """
        form = await read_form(request)
        session = self._checked(request, form)
        asked = acts.asked(form.get("act", ""))
        if asked["type"] == ActionType.PROMOTE and form.get("sure") != "promote":
            raise errors.Refused("a promotion skips the gates: tick the box beside the button, and press it again")
        if not _REQUEST.fullmatch(form.get("request", "")):
            raise errors.Invalid("the form has no name of its request", hint="load the page of the model again")
        named = {"name": f"{asked['type']}-{form['request']}", "model": model, "reason": form.get("reason", "").strip()}
        return await run_in_threadpool(self._ask, {**asked, **named}, session)

    def action(self, model: str, name: str) -> tuple[Action, list[str]] | None:
        """A request of this model that was sent before; None if there is none of this name, or no longer."""
        try:
            found = self._asking.asked(name)
        except errors.NotFound:
            return None
        return (found, self._asking.other_versions(found)) if found.route == model else None

    def _ask(self, asked: Mapping[str, object], session: Session) -> tuple[Action, list[str]]:
        action = self._asking.ask(asked, session.actor)
        return action, self._asking.other_versions(action)

    def _checked(self, request: Request, form: Mapping[str, str]) -> Session:
        session = self.session(request)
        if session is None:
            raise errors.Refused("nobody is signed in here, or no longer", hint=f"sign in: {self._how}")
        if not hmac.compare_digest(form.get("token", "").encode(), session.token.encode()):
            raise errors.Refused("the form is not of this session", hint="load the page again")
        if not self._is_of(request, session):
            raise errors.Refused("the request comes from a process of another user of this machine")
        return session

    def _is_of(self, request: Request, session: Session) -> bool:
        client, server = request.client, request.scope.get("server")
        if session.uid is None or client is None or server is None:
            return session.uid is None
        uid = self._owner((client.host, client.port), (server[0], server[1]))
        # Root can do everything anyway, and relays of a virtual machine run as root.
        return uid is None or uid in (session.uid, connection_owner.ROOT)

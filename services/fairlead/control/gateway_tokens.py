"""Tells which gateway asks for its configuration, by the token that Kubernetes gives to its pod.

The API server itself checks a token (TokenReview), so a key that it no longer trusts and a pod that is gone count at
once, whatever algorithm signs (decision 0081). What a token says about itself is read before, without trust: that
refuses most wrong tokens without a request, and names what is wrong with them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead import errors
from fairlead.control.publications import KubeApi

AUDIENCE = "fairlead-xds"
"""Whom the token is for. The API server does not accept it for its own requests."""
RECHECK_S = 60.0
"""How often a token is checked again: its pod may be deleted meanwhile."""
MAX_KNOWN = 1024
MAX_BYTES = 16 << 10
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_POD_NAME = "authentication.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True)
class _Known:
    gateway: str
    expires: float
    checked: float


class GatewayTokens:
    """`routing.publish.server.Tokens` for the pods of one ServiceAccount. For one event loop.

    `account` is its user name, `system:serviceaccount:NAMESPACE:NAME`.
    """

    def __init__(self, api: KubeApi, account: str, *, clock: Callable[[], float] = time.time) -> None:
        self._api, self._account, self._clock = api, account, clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[str]] = {}

    def known(self, token: str) -> str | None:
        """The pod of a token that the API server has accepted, until it expires or is refused; None for any other.

        It is checked again beside the requests, so that neither strangers nor an API server that is away delay them.
        """
        key, now = _key(token), self._clock()
        found = self._known.get(key)
        if found is None or now >= found.expires:
            return None
        if now - found.checked >= RECHECK_S:
            self._start(key, token, found.expires)
        return found.gateway

    async def check(self, token: str) -> str:
        """The pod of a token. Raises Refused with the reason, and Unavailable while it cannot be checked."""
        claims = self._claims(token)
        return await asyncio.shield(self._start(_key(token), token, float(claims["exp"])))

    def _start(self, key: bytes, token: str, expires: float) -> asyncio.Task[str]:
        """One review at a time for each token: a gateway sends three requests at once."""
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._reviewed(key, token, expires))
            self._running[key].add_done_callback(lambda done: self._ended(key, done))
        return self._running[key]

    def _ended(self, key: bytes, task: asyncio.Task[str]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits for it

    async def _reviewed(self, key: bytes, token: str, expires: float) -> str:
        try:
            pod = await asyncio.to_thread(self._review, token)
        except errors.Refused:
            self._known.pop(key, None)
            raise
        self._known[key] = _Known(pod, expires, self._clock())
        self._known.move_to_end(key)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return pod

    def _claims(self, token: str) -> Mapping[str, Any]:
        """What the token says about itself. Raises Refused if that alone rules it out."""
        if not token:
            raise errors.Refused("the request has no token")
        claims = _payload(token)
        expires, audiences = claims.get("exp"), claims.get("aud")
        if not isinstance(expires, int | float):
            raise errors.Refused("the token has no time at which it expires")
        if self._clock() >= expires:
            raise errors.Refused("the token has expired")
        if AUDIENCE not in (audiences if isinstance(audiences, list) else [audiences]):
            raise errors.Refused(f"the token is not for the audience {AUDIENCE}")
        self._require_account(claims.get("sub"))
        return claims

    def _require_account(self, name: object) -> None:
        if name != self._account:
            raise errors.Refused(f"the token is of {str(name)[:200]!r}, not of {self._account}")

    def _review(self, token: str) -> str:
        spec = {"token": token, "audiences": [AUDIENCE]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            status = self._api.request("POST", _PATH, body=body).get("status") or {}
        except errors.Unavailable:
            raise
        except errors.FairleadError as error:  # it concerns our own request, not the gateway's token
            raise errors.Unavailable(
                f"the API server does not check tokens for the control plane: {error.message}",
                hint="grant `create` on tokenreviews, or set controlPlane.checkGatewayTokens: false",
            ) from error
        if not status.get("authenticated"):
            raise errors.Refused(
                f"the API server does not accept the token: {status.get('error') or 'it is not valid'}"
            )
        # An API server that knows no audiences leaves them out, and has accepted a token that may be for itself.
        if AUDIENCE not in (status.get("audiences") or ()):
            raise errors.Refused(f"the API server does not confirm the audience {AUDIENCE}")
        user = status.get("user") or {}
        self._require_account(user.get("username"))
        pods = (user.get("extra") or {}).get(_POD_NAME)
        if not pods:
            raise errors.Refused("the token is not bound to a pod")
        return str(pods[0])


def _key(token: str) -> bytes:
    """Tokens are not kept, only their digests."""
    return hashlib.sha256(token.encode()).digest()


def _payload(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    try:
        if len(parts) != 3 or len(token) > MAX_BYTES:
            raise ValueError("not three parts")
        claims = orjson.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise errors.Refused("what the request has is not a token of a ServiceAccount") from None
    if not isinstance(claims, dict):
        raise errors.Refused("what the request has is not a token of a ServiceAccount")
    return claims

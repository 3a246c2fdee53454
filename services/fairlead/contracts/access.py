"""Who may call the gateway: clients, how each proves who it is, its models and its limits. One document for both.

On one machine it is the file that `gateway.auth.file` names, in a cluster the content of a Secret. It has no key, only
the SHA-256 of keys: who reads it, or what is made from it, cannot call the gateway.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from fairlead import errors
from fairlead.contracts.base import Document
from fairlead.contracts.manifest import ModelName

KEY_HEADER = "x-api-key"
"""The request header of a key. A key may also be sent as `authorization: Bearer KEY`."""
MODELS_HEADER = "x-fairlead-models"
"""On requests to the control plane, from the gateway only: the models that the client may call, between commas."""
UNKNOWN = "unknown"
"""The client of requests that no client has proved to send, in the access log and in metrics."""
PLATFORM = "fairlead"
"""The client of the control plane's own requests, the smoke tests."""
_HASH = "sha256:"

ClientName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A client's name, as it is in the access log and in metrics: lower-case letters, digits and hyphens."""
KeyHash = Annotated[str, Field(pattern=rf"^{_HASH}[0-9a-f]{{64}}$")]
"""`sha256:` and the SHA-256 of a key, 64 hex digits."""


def key_hash(key: str) -> str:
    """A key as the document has it."""
    return _HASH + hashlib.sha256(key.encode()).hexdigest()


class Limit(Document):
    """How many requests a client may send. It is a token bucket: requests beyond it get 429."""

    rate: Annotated[float, Field(ge=0.01, le=1_000_000, allow_inf_nan=False)]
    """Requests per second, in the long run, over all gateways together."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests at once, after a pause; null: as many as in two seconds, and at least 10."""

    @property
    def most(self) -> int:
        """The size of the bucket, in requests."""
        return self.burst if self.burst is not None else max(10, math.ceil(2 * self.rate))


class Quota(Document):
    """How many requests a client may send in a calendar day and month, in UTC, over all gateways: beyond it 429."""

    day: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    month: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.day is None and self.month is None:
            raise ValueError("it limits nothing; write day, month or both, or leave quota out")
        return self


class Client(Document):
    """One client: a team, an application. Without `keys` and `claims` nobody can prove to be it."""

    keys: Annotated[tuple[KeyHash, ...], Field(max_length=16)] = ()
    """The hashes of its keys. While a key is replaced, both are here."""
    claims: dict[str, str] | None = None
    """A verified token with these claims is this client. A claim that is a list must contain the value; `scope` and
    `scp` may be words with spaces between them. Null: no token is. Of several clients the first that fits counts."""
    models: tuple[ModelName, ...] | None = None
    """The models that it may call; null: all."""
    limit: Limit | None = None
    """For all its requests together; null: no limit."""
    quota: Quota | None = None
    """How many requests in a day and a month; null: any number. Those that are refused or limited do not count."""
    model_limits: dict[ModelName, Limit] = {}
    """By model: a limit for its requests to this model, in addition to `limit`."""


class TokenIssuer(Document):
    """Whose tokens (JWT) are verified, and how."""

    issuer: Annotated[str, Field(min_length=1)]
    """The claim `iss`."""
    audiences: Annotated[tuple[str, ...], Field(min_length=1)]
    """The claim `aud` must have one of these."""
    jwks: dict[str, Any] | None = None
    """The issuer's public keys, `{keys: [...]}`. Either this or `jwksUrl`."""
    jwks_url: Annotated[str, Field(pattern=r"^https://[^\s/?#@:\[\]]+(:[0-9]{1,5})?(/[^\s#]*)?$")] | None = None
    """Where gateways read the public keys from, every 10 minutes."""
    ca_file: Annotated[str, Field(pattern=r"^/.+$")] | None = None
    """Required with `jwksUrl`: the absolute path, where the gateway runs, of the certificate authorities to trust."""

    @property
    def jwks_server(self) -> tuple[str, int] | None:
        """The host and the port of `jwksUrl`."""
        found = re.match(r"https://([^/:?]+)(?::([0-9]+))?", self.jwks_url or "")
        return (found[1], int(found[2] or 443)) if found else None

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if (self.jwks is None) == (self.jwks_url is None):
            raise ValueError("write either jwks, the issuer's public keys, or jwksUrl, where they are")
        if self.jwks_url is not None and self.ca_file is None:
            raise ValueError(
                "jwksUrl needs caFile, the path of the certificate authorities to trust where the gateway runs: "
                "on Debian /etc/ssl/certs/ca-certificates.crt"
            )
        if self.jwks is not None and not self.jwks.get("keys"):
            raise ValueError("jwks: it has no keys; write {keys: [...]}, as the issuer publishes it")
        if any(isinstance(key, dict) and key.keys() & {"k", "d"} for key in (self.jwks or {}).get("keys", ())):
            raise ValueError("jwks: it has a secret key, which this file must not have; write the issuer's public keys")
        return self


class Access(Document):
    """The whole document."""

    clients: dict[ClientName, Client] = {}
    """The clients, by name."""
    tokens: Annotated[tuple[TokenIssuer, ...], Field(max_length=8)] = ()
    """The issuers of tokens; none: tokens are not accepted."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        if taken := sorted({UNKNOWN, PLATFORM} & self.clients.keys()):
            raise ValueError(f"clients.{taken[0]}: the gateway uses this name itself; choose another")
        return self

    @model_validator(mode="after")
    def _a_key_is_one_client(self) -> Self:
        of = Counter(key for client in self.clients.values() for key in client.keys)
        if twice := [key for key, count in of.items() if count > 1]:
            names = [name for name, client in self.clients.items() if twice[0] in client.keys]
            raise ValueError(
                f"clients.{names[-1]}.keys: {twice[0][:14]}... is there twice; give each client its own key"
            )
        return self

    @model_validator(mode="after")
    def _claims_are_verified(self) -> Self:
        names = [name for name, client in self.clients.items() if client.claims is not None]
        if names and not self.tokens:
            raise ValueError(
                f"clients.{names[0]}.claims: no token is verified; say under tokens whose tokens to accept"
            )
        return self


def sendable(key: str) -> str:
    """A key as a header has it. Raises Invalid, without the key, if it cannot be one."""
    found = key.strip()
    if not found.isascii() or not found.isprintable() or " " in found:
        raise errors.Invalid("the key has characters that no key has", hint="nothing was sent; copy the key again")
    return found

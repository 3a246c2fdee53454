"""Tokens (JWT) that tests sign: RSA and SHA-256 with integers, because no library of the tests can sign."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
from typing import Any

DAY = 24 * 3600.0
"""How long a token is good for: cases are made when tests are collected, and may run an hour later."""
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class Signer:
    """An issuer's key pair, the same for the same seed."""

    def __init__(self, seed: int, *, bits: int = 2048) -> None:
        draw = random.Random(seed)
        p, q = (_prime(draw, bits // 2) for _ in range(2))
        self._n, self._e = p * q, 65537
        self._d = pow(self._e, -1, (p - 1) * (q - 1))
        self._size = bits // 8

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key as an issuer publishes it."""
        n, e = (_text(value.to_bytes((value.bit_length() + 7) // 8)) for value in (self._n, self._e))
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": n, "e": e}]}

    def token(self, *, seconds: float = DAY, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that expires in `seconds`; a claim of None is left out."""
        payload = {"iss": "https://login.example", "aud": "models", "exp": int(time.time() + seconds), **claims}
        head = header or {"alg": "RS256", "kid": "one", "typ": "JWT"}
        said = {name: value for name, value in payload.items() if value is not None}
        signed = f"{_text(json.dumps(head).encode())}.{_text(json.dumps(said).encode())}"
        return f"{signed}.{_text(self._sign(signed.encode()))}"

    def _sign(self, message: bytes) -> bytes:
        content = _SHA256_PREFIX + hashlib.sha256(message).digest()
        padded = b"\0\1" + b"\xff" * (self._size - len(content) - 3) + b"\0" + content
        return pow(int.from_bytes(padded), self._d, self._n).to_bytes(self._size)


def unsigned(token: str) -> str:
    """The same claims under `alg: none`, without a signature."""
    return f"{_text(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{token.split('.')[1]}."


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _prime(draw: random.Random, bits: int) -> int:
    while True:
        candidate = draw.getrandbits(bits) | (3 << (bits - 2)) | 1
        if all(candidate % small for small in range(3, 2000, 2)) and _is_probably_prime(candidate, draw):
            return candidate


def _is_probably_prime(number: int, draw: random.Random) -> bool:
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        x = pow(draw.randrange(2, number - 1), odd, number)
        if x not in (1, number - 1) and all((x := x * x % number) != number - 1 for _ in range(twos - 1)):
            return False
    return True

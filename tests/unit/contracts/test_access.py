from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.access import Access, Limit, key_hash
from fairlead.contracts.parsing import parse

JWKS = {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}
ISSUER = {"issuer": "https://login.example", "audiences": ["models"], "jwks": JWKS}


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(errors.Invalid) as found:
        parse(Access, document, "access.yaml")
    return found.value.message


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"clients": {"shop": {"keys": ["plain-key"]}}}, "clients.shop.keys.0: this is not the hash of a key"),
        ({"clients": {"Shop": {}}}, "'Shop' is not a client name"),
        ({"clients": {"unknown": {}}}, "clients.unknown: the gateway uses this name itself; choose another"),
        ({"clients": {"fairlead": {}}}, "clients.fairlead: the gateway uses this name itself; choose another"),
        (
            {"clients": {"a": {"claims": {"azp": "a"}}}},
            "clients.a.claims: no token is verified; say under tokens whose",
        ),
        ({"clients": {"a": {"limit": {"rate": 0}}}}, "clients.a.limit.rate: Input should be greater than"),
        ({"tokens": [{**ISSUER, "audiences": []}]}, "tokens.0.audiences"),
        ({"tokens": [{**ISSUER, "jwks": None}]}, "tokens.0: write either jwks, the issuer's public keys, or jwksUrl"),
        ({"tokens": [{**ISSUER, "jwksUrl": "https://login.example/"}]}, "tokens.0: write either jwks"),
        ({"tokens": [{**ISSUER, "jwks": None, "jwksUrl": "https://login.example/"}]}, "tokens.0: jwksUrl needs caFile"),
        ({"tokens": [{**ISSUER, "caFile": "ca.crt"}]}, "tokens.0.caFile: 'ca.crt' is not an absolute path"),
        ({"tokens": [{**ISSUER, "jwks": {}}]}, "tokens.0: jwks: it has no keys; write {keys: [...]}"),
        (
            {"tokens": [{**ISSUER, "jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}]},
            "tokens.0: jwks: it has a secret key",
        ),
        ({"tokens": [{**ISSUER, "jwks": {"keys": [{**JWKS["keys"][0], "d": "AA"}]}}]}, "it has a secret key"),
        (
            {"tokens": [{**ISSUER, "jwks": None, "jwksUrl": "http://login.example/"}]},
            "is not the address of an issuer's",
        ),
    ],
)
def test_a_wrong_document_is_refused_with_its_field(document: dict[str, Any], said: str) -> None:
    assert said in refused(document)


def test_one_key_cannot_be_two_clients() -> None:
    one = {"keys": [key_hash("same")]}
    assert "clients.b.keys: sha256:" in refused({"clients": {"a": one, "b": one}})
    assert "is there twice; give each client its own key" in refused({"clients": {"a": one, "b": one}})


def test_an_error_does_not_show_a_key_that_was_written_in_plain_text() -> None:
    secret = "correct-horse-battery-staple-and-more-words"
    assert secret not in refused({"clients": {"shop": {"keys": [secret]}}})


def test_without_a_burst_the_bucket_has_two_seconds_and_at_least_ten() -> None:
    assert [Limit(rate=rate).most for rate in (0.1, 5, 7.5, 100)] == [10, 10, 15, 200]
    assert Limit(rate=100, burst=3).most == 3


@given(key=st.text(min_size=1))
def test_a_hash_is_accepted_as_a_key_of_a_client(key: str) -> None:
    document = parse(Access, {"clients": {"shop": {"keys": [key_hash(key)]}}}, "access.yaml")
    assert document.clients["shop"].keys == (key_hash(key),)

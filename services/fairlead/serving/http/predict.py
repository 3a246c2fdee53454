"""The two protocols whose rows are JSON objects: ours, and KServe's V1."""

from __future__ import annotations

from fairlead.serving.http import endpoint
from fairlead.serving.inference.contract import Contract

_BLANK = b" \t\r\n"


def plain(terms: Contract) -> endpoint.Decode:
    """`POST /predict`: one object for one answer, a list for a list."""
    decode_one, encode_one, encode_many = terms.decode_one, terms.encode_one, terms.encode_many

    def decode(body: bytes) -> endpoint.DecodedRequest:
        # Decided by the first character and not by trying both: the errors are then those of the form that was meant.
        if body[:1] == b"[" or body.lstrip(_BLANK)[:1] == b"[":
            return endpoint.DecodedRequest(terms.decode_many(body), encode_many)
        return endpoint.DecodedRequest(decode_one(body), encode_one)

    return decode


def kserve_v1(terms: Contract) -> endpoint.Decode:
    """`POST /v1/models/{m}:predict`: instances in, predictions out."""

    def decode(body: bytes) -> endpoint.DecodedRequest:
        return endpoint.DecodedRequest(terms.decode_instances(body), terms.encode_predictions)

    return decode

"""Decoders of the protocols whose rows are JSON objects: Fairlead's own, and KServe's V1 with its `explain`."""

from __future__ import annotations

from fairlead.serving.http import endpoint
from fairlead.serving.inference import pieces
from fairlead.serving.inference.admission import DecodedRequest
from fairlead.serving.inference.answer_limit import too_large
from fairlead.serving.inference.contract import Contract

_BLANK = b" \t\r\n"


def plain(terms: Contract) -> endpoint.Decode:
    """`POST /predict`: an object gets one answer, a list gets a list of answers."""
    decode_one, encode_one, encode_many = terms.decode_one, terms.encode_one, terms.encode_many
    decode_many = pieces.decoder(terms, terms.decode_many, ("body",))

    def decode(body: bytes) -> DecodedRequest:
        # The first character decides the form. If both were tried, the errors could be those of the other form.
        if body[:1] == b"[" or body.lstrip(_BLANK)[:1] == b"[":
            return DecodedRequest(decode_many(body), encode_many)
        # The same as DecodedRequest(...), without a call of a function of Python.
        return tuple.__new__(DecodedRequest, (decode_one(body), encode_one, None))

    return decode


def kserve_v1(terms: Contract) -> endpoint.Decode:
    """`POST /v1/models/{m}:predict`: takes `instances`, returns `predictions`."""
    decode_instances = pieces.decoder(terms, terms.decode_instances, ("body", "instances"))

    def decode(body: bytes) -> DecodedRequest:
        return DecodedRequest(decode_instances(body), terms.encode_predictions)

    return decode


def kserve_v1_explain(terms: Contract) -> endpoint.Decode:
    """`POST /v1/models/{m}:explain`: takes `instances`, returns `explanations`."""
    decode_instances = pieces.decoder(terms, terms.decode_instances, ("body", "instances"))

    def encode(answers: list[bytes]) -> bytes:
        payload = b'{"explanations":%b}' % answers[0]
        if len(payload) > terms.limits.answer_bytes:
            raise too_large(terms.limits.answer_bytes)
        return payload

    def decode(body: bytes) -> DecodedRequest:
        return DecodedRequest(decode_instances(body), encode)

    return decode

"""A model whose input is an image gets it in every form in which clients send one, and answers the same."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import struct
from typing import Any

import PIL.Image
import pytest

from fairlead.serving.settings import Settings
from support.image_files import LIMIT, file, halves, hostile, text
from support.image_models import manifest, served
from support.small_models import Reply, Served, ask, running

LEFT = file(halves(64, 48), "JPEG", quality=95)
BLACK = file(PIL.Image.new("RGB", (20, 20)), "PNG")
PREDICT, V1, V2 = "/predict", "/v1/models/light:predict", "/v2/models/light/infer"
BOUNDARY = "----form7MA4YWxk"


def send(
    body: Any,
    content_type: str = "application/json",
    path: str = PREDICT,
    model: Served | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    async def once() -> Reply:
        async with running(model or served()) as app:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await ask(app, "POST", path, data, {"content-type": content_type} | (headers or {}))

    return asyncio.run(once())


def light(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)


def is_left(answer: Any) -> bool:
    values = answer["light"]
    return bool(min(values[0], values[2]) > 0.9 and max(values[1], values[3]) < 0.1)


def form(*files: tuple[str, bytes], boundary: str = BOUNDARY) -> bytes:
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"; filename="x.jpg"\r\n'.encode()
        + b"content-type: image/jpeg\r\n\r\n"
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def detail(reply: Reply) -> str:
    found: str = json.loads(reply.body)["detail"]
    return found


# ---- every form


def test_base64_in_json() -> None:
    assert is_left(light(send({"image": text(LEFT)})))
    answers = light(send([{"image": text(LEFT)}, {"image": text(BLACK)}]))
    assert [is_left(one) for one in answers] == [True, False]
    assert is_left(light(send({"instances": [{"image": text(LEFT)}]}, path=V1))["predictions"][0])


def test_the_bytes_of_a_file() -> None:
    for kind in ("image/jpeg", "image/*", "Image/PNG"):  # the content says what it is
        assert is_left(light(send(LEFT, kind)))
    assert is_left(light(send(LEFT, "image/jpeg", V1))["predictions"][0])


def test_a_form_with_files_gets_a_list() -> None:
    answers = light(send(form(("image", LEFT), ("image", BLACK), ("image", LEFT)), FORM))
    assert [is_left(one) for one in answers] == [True, False, True]
    assert [is_left(one) for one in light(send(form(("image", LEFT)), FORM))] == [True]
    assert is_left(light(send(form(("image", LEFT)), FORM, V1))["predictions"][0])


def test_a_tensor_of_bytes_in_json() -> None:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": [text(LEFT), text(BLACK)]}
    (output,) = light(send({"inputs": [tensor]}, path=V2))["outputs"]
    assert output["shape"] == [2, 4]
    assert is_left({"light": output["data"][:4]})


@pytest.mark.parametrize("written", [LEFT, text(LEFT).encode()], ids=["the file", "base64"])
def test_a_tensor_of_bytes_in_binary_form(written: bytes) -> None:
    raw = struct.pack("<I", len(written)) + written + struct.pack("<I", len(BLACK)) + BLACK
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    size = {"inference-header-content-length": str(len(head))}
    (output,) = light(send(head + raw, "application/octet-stream", V2, headers=size))["outputs"]
    assert is_left({"light": output["data"][:4]})
    assert max(output["data"][4:]) == 0


def test_a_compressed_body_is_decompressed() -> None:
    compressed = gzip.compress(LEFT)
    assert is_left(light(send(compressed, "image/jpeg", headers={"content-encoding": "gzip"})))


def test_images_of_several_requests_are_in_one_call_of_the_model() -> None:
    calls: list[int] = []

    async def many() -> list[Reply]:
        async with running(served(calls=calls)) as app:
            calls.clear()
            asked = [ask(app, "POST", PREDICT, LEFT, {"content-type": "image/jpeg"}) for _ in range(12)]
            return await asyncio.gather(*asked)

    assert all(is_left(light(one)) for one in asyncio.run(many()))
    assert sum(calls) == 12
    assert max(calls) > 1


def test_the_metadata_says_bytes() -> None:
    async def asked() -> Reply:
        async with running(served()) as app:
            return await ask(app, "GET", "/v2/models/light")

    assert json.loads(asyncio.run(asked()).body)["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]


# ---- labels


def test_the_answer_has_the_labels_with_the_highest_scores() -> None:
    model = served(manifest({"top": 2}))
    answer = light(send(LEFT, "image/jpeg", model=model))
    assert [one["label"] for one in answer["light"]] == ["upper left", "lower left"]
    assert all(0.9 < one["score"] <= 1 for one in answer["light"])
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text(LEFT)]}
    (output,) = light(send({"inputs": [tensor]}, path=V2, model=model))["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1])
    assert [one["label"] for one in json.loads(output["data"][0])] == ["upper left", "lower left"]


def test_logits_become_probabilities() -> None:
    answer = light(send(LEFT, "image/jpeg", model=served(manifest({"top": 4, "scores": "logits"}))))
    scores = [one["score"] for one in answer["light"]]
    assert sum(scores) == pytest.approx(1)
    assert scores[0] == pytest.approx(2.718281828 / (2 * 2.718281828 + 2), rel=0.02)


# ---- what is refused


def test_a_hostile_file_is_a_422_with_a_sentence() -> None:
    async def all_of_them() -> list[Reply]:
        async with running(served(manifest(max_pixels=LIMIT))) as app:
            return [await ask(app, "POST", PREDICT, one, {"content-type": "image/png"}) for one in hostile().values()]

    for name, reply in zip(hostile(), asyncio.run(all_of_them()), strict=True):
        assert (reply.status, "body.image: Input " in detail(reply)) == (422, True), (name, detail(reply))


def test_the_error_says_which_image_it_is() -> None:
    said = [
        detail(send([{"image": text(LEFT)}, {"image": text(b"nothing")}])),
        detail(send(form(("image", LEFT), ("image", b"nothing")), FORM)),
        detail(send({"instances": [{"image": "no base64!"}]}, path=V1)),
        detail(send({"image": 7})),
    ]
    assert said == [
        "body.1.image: Input is no image file, and should be a JPEG, PNG or WEBP file",
        "body.1.image: Input is no image file, and should be a JPEG, PNG or WEBP file",
        "body.instances.0.image: Input should be an image file in base64",
        "body.image: Input should be a valid string",
    ]


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("multipart/form-data", form(("image", LEFT)), "names no boundary"),
        (FORM, b"", "does not end"),
        (FORM, LEFT, "does not end"),
        (FORM, form(), "has no part"),
        (FORM, form(("image", LEFT))[:-6], "does not end"),
        (FORM, form(("photo", LEFT)), "body.0: each part of the form must be named 'image'"),
        (FORM, f"--{BOUNDARY}\r\nname: x\r\n--{BOUNDARY}--".encode(), "no empty line"),
        (FORM, f"--{BOUNDARY}x\r\n\r\n\r\n--{BOUNDARY}--".encode(), "not followed by a line break"),
        (FORM, f"--{BOUNDARY}\r\n\r\nx\r\n--{BOUNDARY}--".encode(), "must be named 'image'"),
        (FORM, form(*[("image", b"")] * 2000), "more than 1000 parts"),
        (f"multipart/form-data; boundary={'x' * 71}", form(("image", LEFT), boundary="x" * 71), "names no boundary"),
    ],
)
def test_a_form_that_is_none_is_refused_with_the_reason(content_type: str, body: bytes, said: str) -> None:
    async def once() -> Reply:
        async with running(served(), Settings(max_request_rows=1000)) as app:
            return await ask(app, "POST", PREDICT, body, {"content-type": content_type})

    reply = asyncio.run(once())
    assert (reply.status, said in detail(reply)) == (422, True), detail(reply)


def test_what_is_no_image_is_415_with_what_is_taken() -> None:
    reply = send(b"x", "text/plain")
    assert (reply.status, "multipart/form-data" in detail(reply)) == (415, True)
    assert send(LEFT, "image/jpeg", V2).status == 415


def test_a_form_of_a_page_of_another_site_is_refused() -> None:
    body = form(("image", LEFT))
    assert send(body, FORM, headers={"origin": "http://evil.example"}).status == 415
    assert send(body, FORM, headers={"origin": "http://x", "sec-fetch-site": "cross-site"}).status == 415
    assert send(body, FORM, headers={"origin": "http://x", "sec-fetch-site": "same-origin"}).status == 200


def test_a_model_of_numbers_takes_neither_images_nor_forms() -> None:
    for kind in ("image/jpeg", FORM):
        assert send(LEFT, kind, model=Served()).status == 415


# ---- limits


def test_a_body_may_be_as_large_as_the_largest_image() -> None:
    noise = file(PIL.Image.frombytes("RGB", (1400, 1100), random.Random(1).randbytes(1400 * 1100 * 3)), "PNG")
    assert len(noise) > 4 * 1024 * 1024
    assert send({"image": text(noise)}).status == 200
    assert send(noise, "image/png").status == 200

    async def limited() -> Reply:
        async with running(served(), Settings(max_body_bytes=1024 * 1024)) as app:
            return await ask(app, "POST", PREDICT, noise, {"content-type": "image/png"})

    assert asyncio.run(limited()).status == 413


def test_no_image_is_decoded_on_the_event_loop() -> None:
    async def small_bytes() -> list[int]:
        async with running(served()) as app:
            return [app.dispatcher.endpoint({"type": "http", "method": "POST", "path": PREDICT}).small_bytes]  # type: ignore[union-attr]

    assert asyncio.run(small_bytes()) == [-1]


# ---- OpenAPI


def test_the_document_shows_files_and_forms() -> None:
    async def asked() -> Reply:
        async with running(served()) as app:
            return await ask(app, "GET", "/openapi.json")

    paths = json.loads(asyncio.run(asked()).body)["paths"]
    content = paths[PREDICT]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "image/jpeg", "image/png", "image/webp", "multipart/form-data"}
    items = content["multipart/form-data"]["schema"]["properties"]["image"]
    assert items["items"] == {"type": "string", "format": "binary"}
    assert set(paths[V2]["post"]["requestBody"]["content"]) == {"application/json", "application/octet-stream"}

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.http import multipart

FORM = b"multipart/form-data; boundary=B"
IMAGE = b'Content-Disposition: form-data; name="image"'


def form(head: bytes, count: int = 1) -> bytes:
    return b"".join(b"--B\r\n" + head + b"\r\n\r\nx\r\n" for _ in range(count)) + b"--B--\r\n"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (IMAGE, "image"),
        (b"content-disposition: form-data; filename=a.png ; NAME = image", "image"),
        (b'Content-Disposition: form-data; filename="a;name=no\\".png"; name="a\\"b"', 'a"b'),
        (b"Content-Disposition: form-data", ""),
        (b'Content-Disposition: form-data; name="image', ""),
        (b"Content-Disposition: form-data; name*" + b"9" * 5000 + b"=x", ""),
    ],
)
def test_the_name_of_a_part_is_read(head: bytes, name: str) -> None:
    assert multipart.parts(FORM, form(head), 1) == [multipart.Part(name, b"x")]


def test_a_content_type_with_a_parameter_of_an_enormous_number_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="names no boundary"):
        multipart.parts(b"multipart/form-data; boundary*" + b"9" * 5000 + b"=B", form(IMAGE), 1)


def test_a_part_with_too_many_headers_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="more than 16 headers"):
        multipart.parts(FORM, form(b"\r\n".join([IMAGE] * 17)), 1)


@pytest.mark.parametrize("tail", [b";a=b" * 1900, b';b="' + b";" * 7000])
def test_only_the_first_parameters_of_a_header_are_read(tail: bytes) -> None:
    # All of them, in quadratic time, took 21.8 s for a form of 15 MB.
    head = b"Content-Disposition: form-data" + tail + b'; name="late"'
    assert multipart.parts(FORM, form(head), 1) == [multipart.Part("", b"x")]
    assert multipart.parts(FORM, form(IMAGE + tail), 1) == [multipart.Part("image", b"x")]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.sampled_from([b"", b"before\r\n"]))
def test_the_content_of_each_part_is_read_as_it_is(contents: list[bytes], before: bytes) -> None:
    contents = [content.replace(b"\r\n--B", b"") for content in contents]
    body = (
        before + b"".join(b"--B\r\n" + IMAGE + b"\r\n\r\n" + content + b"\r\n" for content in contents) + b"--B--\r\n"
    )
    found = multipart.parts(FORM, body, 5)
    assert found == [multipart.Part("image", content) for content in contents]


def test_the_content_of_a_part_is_the_only_copy_of_a_file() -> None:
    size = 8 * 2**20
    body = b"--B\r\n" + IMAGE + b"\r\n\r\n" + bytes(size) + b"\r\n--B--\r\n"
    tracemalloc.start()
    try:
        multipart.parts(FORM, body, 1)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()

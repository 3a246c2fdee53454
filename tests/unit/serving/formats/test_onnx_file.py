"""An ONNX file is read without its runtime; one that is damaged, or reads other files, is refused with a sentence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.formats import onnx_file
from fairlead.serving.formats.onnx_file import Graph, Value
from support import onnx_files as write

X, Y = write.value("x", ["N", 3]), write.value("y", ["N", 2])
WHOLE = write.model([X], [Y], [write.tensor("w", raw=b"\0" * 24)])


def graph(folder: Path, data: bytes) -> Graph:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return onnx_file.read(path)


def test_the_inputs_and_outputs_are_read_with_their_types(tmp_path: Path) -> None:
    inputs = [X, write.value("ids", [None, 0, -1, 7], write.INT64)]
    found = graph(tmp_path, write.model(inputs, [Y, write.value("maps", None, write.MAP)]))
    assert found.inputs == [
        Value("x", 1, (None, 3), ("N", "")),
        Value("ids", 7, (None, None, None, 7), ("", "", "", "")),
    ]
    assert found.outputs == [Value("y", 1, (None, 2), ("N", "")), Value("maps", 0, None)]
    assert (found.ir_version, found.opsets) == (10, {"": 22})


def test_an_input_with_a_default_in_the_file_is_not_asked_for(tmp_path: Path) -> None:
    found = graph(tmp_path, write.model([X, write.value("w", [3, 2])], [Y], [write.tensor("w", raw=b"\0" * 24)]))
    assert [one.name for one in found.inputs] == ["x"]


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_off_anywhere_is_refused_or_has_lost_only_its_operator_set(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "model.onnx"
    path.write_bytes(WHOLE[:end])
    found = None
    with suppress(errors.Invalid):
        found = onnx_file.read(path)
    assert found is None or [one.name for one in (*found.inputs, *found.outputs)] == ["x", "y"]


@given(st.binary(max_size=400))
@example(write.field(7, 0))
@example(write.field(8, 0))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "model.onnx"
    path.write_bytes(data)
    with suppress(errors.Invalid):
        onnx_file.read(path)


def test_a_number_where_a_message_belongs_is_refused(tmp_path: Path) -> None:
    for field in (write.field(7, 0), write.field(8, 3), write.field(7, write.field(5, 1)), write.field(25, 9)):
        with pytest.raises(errors.Invalid, match="a field has another type than ONNX gives it"):
            graph(tmp_path, write.model([X], [Y]) + field)


@given(st.data())
def test_a_file_with_one_wrong_byte_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(WHOLE) - 1))
    changed = bytearray(WHOLE)
    changed[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / "model.onnx"
    path.write_bytes(changed)
    with suppress(errors.Invalid):
        onnx_file.read(path)


def test_graphs_that_are_nested_without_end_are_refused(tmp_path: Path) -> None:
    inner = b""
    for _ in range(100):
        inner = write.field(1, write.field(5, write.field(6, inner)))
    with pytest.raises(errors.Invalid, match="nested too deep"):
        graph(tmp_path, write.model([X], [Y]) + write.field(7, inner))


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("../secret", "which is outside the artifact"),
        ("/etc/hostname", "which is outside the artifact"),
        ("a/../../secret", "which is outside the artifact"),
        ("link", "which is outside the artifact"),
        ("", "which is outside the artifact"),
        ("absent.bin", "which the artifact does not contain"),
        ("linked/secret", "which the artifact does not contain"),
    ],
)
def test_weights_outside_of_the_artifact_are_refused(tmp_path: Path, location: str, sentence: str) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 24)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    found = graph(folder, write.model([X], [Y], [write.tensor("w", {"location": location})]))
    with pytest.raises(errors.Invalid, match=sentence):
        onnx_file.check_external(found, folder / "model.onnx")


@pytest.mark.parametrize("place", ["attribute", "subgraph", "function", "default", "sparse"])
def test_weights_are_found_wherever_a_tensor_may_be(tmp_path: Path, place: str) -> None:
    outside = write.tensor("w", {"location": "../w"})
    node = {
        "attribute": write.field(5, write.field(5, outside)),
        "subgraph": write.field(5, write.field(6, write.field(5, outside))),
        "sparse": write.field(5, write.field(22, write.field(1, outside))),
    }.get(place, b"")
    data = write.model([X], [Y], nodes=[node])
    if place == "function":
        data += write.field(25, write.field(7, write.field(5, write.field(5, outside))))
    if place == "default":  # of an attribute of a function
        data += write.field(25, write.field(11, write.field(5, outside)))
    assert graph(tmp_path, data).external == [{"location": "../w"}]


def test_of_a_location_that_is_written_twice_the_one_that_protobuf_takes_is_looked_at(tmp_path: Path) -> None:
    entry = write.field(1, "offset") + write.field(1, "location") + write.field(2, "w.bin") + write.field(2, "../w")
    found = graph(tmp_path, write.model([X], [Y], [write.tensor("w") + write.field(13, entry)]))
    assert found.external == [{"location": "../w"}]


def test_a_field_whose_number_protobuf_would_cut_off_is_refused(tmp_path: Path) -> None:
    entry = write.field(1, "location") + write.field(2, "../w")
    hidden = write.varint(2**32 + (13 << 3 | 2)) + write.varint(len(entry)) + entry
    with pytest.raises(errors.Invalid, match="no field of a message"):
        graph(tmp_path, write.model([X], [Y], [write.tensor("w") + hidden]))


@pytest.mark.parametrize(("offset", "length"), [("0", "25"), ("8", "17"), ("9" * 30, "1"), ("-1", "1"), ("0", "many")])
def test_weights_beyond_the_end_of_their_file_are_refused(tmp_path: Path, offset: str, length: str) -> None:
    (tmp_path / "w.bin").write_bytes(b"\0" * 24)
    entry = {"location": "w.bin", "offset": offset, "length": length}
    found = graph(tmp_path, write.model([X], [Y], [write.tensor("w", entry)]))
    with pytest.raises(errors.Invalid, match=r"w\.bin is not complete"):
        onnx_file.check_external(found, tmp_path / "model.onnx")


def test_weights_beside_the_model_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"\0" * 24)
    found = graph(tmp_path, write.model([X], [Y], [write.tensor("w", {"location": "w.bin", "length": "24"})]))
    onnx_file.check_external(found, tmp_path / "model.onnx")

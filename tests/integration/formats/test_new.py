"""`fairlead new` writes the folder of an ONNX file: from it alone, and it is fit to serve."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.cli.commands import new
from fairlead.serving.formats.artifact import digest_of
from fairlead.serving.formats.folder import load_folder


@pytest.fixture
def onnx(libraries: list[Path]) -> Any:
    return importlib.import_module("onnx")


@pytest.fixture
def graphs(onnx: Any) -> Any:
    return importlib.import_module("support.formats.graphs")


@pytest.fixture
def file(tmp_path: Path, onnx: Any, graphs: Any) -> Path:
    made, _ = graphs.dense()
    onnx.save(made, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_a_file_is_all_that_is_needed(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new.command("net", file, None, None, None, "1.0.0", tmp_path / "out")
    printed = capsys.readouterr().out
    folder = load_folder(tmp_path / "out/net/1.0.0")
    assert len(folder.golden) == 8
    assert [(one.name, one.shape) for one in folder.manifest.inputs] == [("x", (-1, 16))]
    assert "fit to serve" in printed
    assert "sha256" not in printed


def test_its_digest_is_compared_if_it_is_given_and_stays_the_same(tmp_path: Path, file: Path) -> None:
    with pytest.raises(errors.ArtifactRejected):
        new.command("net", file, "0" * 64, None, None, "1.0.0", tmp_path / "out")
    new.command("net", file, digest_of(file), None, None, "1.0.0", tmp_path / "out")
    artifact = load_folder(tmp_path / "out/net/1.0.0").manifest.artifact
    assert artifact is not None
    assert artifact.sha256 == digest_of(file)


def test_rows_of_a_table_are_the_golden_rows_of_a_network_that_takes_a_list_of_numbers(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [",".join(f"c{place}" for place in range(16))]
    lines += [",".join(str((row * place) % 7 / 2) for place in range(16)) for row in range(120)]
    (tmp_path / "rows.csv").write_text("\n".join([*lines, ",".join(["1"] * 15 + [""])]))
    new.command("net", file, None, tmp_path / "rows.csv", None, "1.0.0", tmp_path / "out")
    folder = load_folder(tmp_path / "out/net/1.0.0")
    assert [row.input["x"][:3] for row in folder.golden][:2] == [[0.0, 0.0, 0.0], [0.0, 0.5, 1.0]]
    assert folder.manifest.inputs[0].description == "16 values in the order of rows.csv, from c0 to c15"
    assert "fit to serve" in capsys.readouterr().out


def test_nothing_is_left_if_the_model_answers_no_row_of_the_table(tmp_path: Path, file: Path) -> None:
    (tmp_path / "rows.csv").write_text("\n".join([",".join("abcdefghijklmnop"), ",".join(["text"] * 16)]))
    with pytest.raises(errors.Invalid, match="the model answers no row of"):
        new.command("net", file, None, tmp_path / "rows.csv", None, "1.0.0", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("fairlead.yaml"))


def test_a_folder_with_the_weights_in_files_of_their_own_is_written_whole(
    tmp_path: Path, file: Path, onnx: Any
) -> None:
    apart = tmp_path / "apart"
    apart.mkdir()
    onnx.save(onnx.load(file), apart / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    new.command("net", apart, None, None, None, "1.0.0", tmp_path / "out")
    assert len(load_folder(tmp_path / "out/net/1.0.0").golden) == 8


def test_nothing_is_left_of_a_network_that_mixes_rows(tmp_path: Path, onnx: Any, graphs: Any) -> None:
    rows = [graphs.floats(name, 3) for name in ("x", "y")]
    node = onnx.helper.make_node("Softmax", ["x"], ["y"], axis=0)
    onnx.save(graphs.model([node], rows[:1], rows[1:], {}), tmp_path / "mixes.onnx")
    with pytest.raises(errors.ModelFailed, match="differently in a batch than alone"):
        new.command("mixes", tmp_path / "mixes.onnx", None, None, None, "1.0.0", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("fairlead.yaml"))


def test_an_output_that_cannot_be_served_is_left_out_with_a_sentence(
    tmp_path: Path, onnx: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = Path(importlib.import_module("onnxruntime").__file__ or "").parent / "datasets" / "logreg_iris.onnx"
    new.command("iris", shipped, None, None, None, "1.0.0", tmp_path / "out")
    printed = capsys.readouterr().out
    assert "not served: format 'onnx': output 'probabilities' is no tensor. A classifier of skl2onnx returns" in printed
    assert "fit to serve" in printed
    assert [one.name for one in load_folder(tmp_path / "out/iris/1.0.0").manifest.outputs] == ["label"]


def exported(torch: Any, file: Path, example: Any, *, is_open: bool) -> Path:
    """A file of torch.export: a module that returns a dictionary, with rows or for one call."""

    class Net(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return {"label": x.argmax(1), "half": x.to(torch.bfloat16)}

    shapes = {"x": {0: torch.export.Dim("rows")}} if is_open else None
    torch.export.save(torch.export.export(Net(), (example,), dynamic_shapes=shapes), file)
    return file


@pytest.mark.parametrize(
    ("example", "is_open", "shape"), [((2, 3), True, (-1, 3)), ((1, 3), False, (-1, 3)), ((2, 3), False, (-1, 2, 3))]
)
def test_a_graph_of_torch_export_names_its_inputs_and_outputs(
    tmp_path: Path, torch: Any, example: tuple[int, int], is_open: bool, shape: tuple[int, ...]
) -> None:
    file = exported(torch, tmp_path / "net.pt2", torch.zeros(example), is_open=is_open)
    with pytest.raises(errors.Refused, match="a graph of torch.export, which is code. Its sha256 is"):
        new.command("net", file, None, None, None, "1.0.0", tmp_path / "out")
    new.command("net", file, digest_of(file), None, None, "1.0.0", tmp_path / "out")
    made = load_folder(tmp_path / "out/net/1.0.0")
    assert [(one.name, one.datatype, one.shape) for one in made.manifest.inputs] == [("x", "FP32", shape)]
    half = ("half", "FP32", shape)
    label = ("label", "INT64", shape[:-1] if len(shape) == 2 else (-1, 2))
    assert [(one.name, one.datatype, one.shape) for one in made.manifest.outputs] == [label, half]
    assert len(made.golden) == 8

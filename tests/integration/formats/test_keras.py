"""What the formats of Keras refuse, that nothing of a refused file runs, and that a folder comes from a file alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.page import read_page
from docs.session import Session
from docs.working_copy import WorkingCopy
from fairlead import errors
from fairlead.cli.commands import new
from fairlead.serving.formats.artifact import digest_of
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from support import environments
from support.formats import keras_files as hostile
from support.formats.graphs_of_bytes import pickle_with_code, zip_bomb
from support.formats.skops_files import packed

STATED: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "dense", "datatype": "FP32", "shape": [-1, 3]}],
}


def folder(path: Path, data: bytes, /, **manifest: Any) -> Path:
    path.mkdir()
    (path / "model.keras").write_bytes(data)
    artifact = {"path": "model.keras", "sha256": hashlib.sha256(data).hexdigest()}
    stated = {"name": "m", "version": "1.0.0", "format": "keras", **STATED, "artifact": artifact} | manifest
    (path / "fairlead.yaml").write_text(yaml.safe_dump(stated))
    return path


def refused(path: Path) -> str:
    with pytest.raises(errors.FairleadError) as caught:
        load_folder(path).start()
    assert "\n" not in caught.value.message
    assert "Traceback" not in caught.value.message
    return f"{caught.value.message}\n  {caught.value.hint or ''}"


def one_layer(name: str, module: str | None = "keras.layers", /, **config: Any) -> bytes:
    return hostile.file(hostile.model(hostile.layer(name, module, name="evil", **config), hostile.dense()))


FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a Lambda layer": (
        lambda mark: hostile.file(hostile.model(hostile.lambda_layer(mark), hostile.dense())),
        "has Lambda layers, which are code: evil",
    ),
    "a Lambda layer inside of another layer": (
        lambda mark: one_layer("TimeDistributed", layer=hostile.lambda_layer(mark, "inner")),
        "has Lambda layers, which are code: inner",
    ),
    "a function of bytecode outside of a Lambda layer": (
        lambda mark: hostile.file(
            hostile.model(hostile.dense(activation=hostile.lambda_layer(mark)["config"]["function"]))
        ),
        "names the class '__lambda__', which is none of Keras",
    ),
    "a function of the system": (
        lambda mark: hostile.file(hostile.model(hostile.dense(activation=hostile.function("system", "os")))),
        "needs os.system, which is no layer or function of Keras",
    ),
    "a class of the system": (
        lambda mark: one_layer("Popen", "subprocess", args=["touch", str(mark)]),
        "subprocess.Popen",
    ),
    "a tool of Keras that fetches files": (
        lambda mark: hostile.file(hostile.model(hostile.dense(activation=hostile.function("get_file", "keras.utils")))),
        "needs keras.utils.get_file",
    ),
    "a tool that turns checks off": (
        lambda mark: one_layer("enable_unsafe_deserialization", "keras.config"),
        "needs keras.config.enable_unsafe_deserialization",
    ),
    "a class of the author": (lambda mark: one_layer("Mine", "features"), "needs features.Mine"),
    "a layer under another name": (
        lambda mark: hostile.file(
            hostile.model(hostile.layer("Dense", units=3, name="dense") | {"registered_name": "package>Evil"})
        ),
        "needs keras.layers.Dense",
    ),
    "a pickled module of PyTorch": (
        lambda mark: one_layer("TorchModuleWrapper", module="x"),
        "has a layer TorchModuleWrapper",
    ),
    "a saved model of TensorFlow": (lambda mark: one_layer("TFSMLayer", filepath="/tmp"), "has a layer TFSMLayer"),
    "a layer that reads files": (
        lambda mark: one_layer("TextVectorization", vocabulary="/etc/passwd"),
        "has a layer TextVectorization, which reads files",
    ),
    "a layer that remembers": (lambda mark: one_layer("LSTM", units=2, stateful=True), "has a layer that is stateful"),
    "an object that is no model": (lambda mark: hostile.file(hostile.dense()), "holds a model that is a Dense"),
    "a configuration that nests too deeply": (
        lambda mark: hostile.file(b"[" * 9999 + b"]" * 9999),
        "nested too deeply",
    ),
    "a configuration that is no JSON": (lambda mark: hostile.file(b"{"), "has a config.json that is not JSON"),
    "a configuration of nothing": (
        lambda mark: hostile.file(hostile.layer("Sequential", "keras")),
        "Keras cannot read",
    ),
    "more weights than there are": (
        lambda mark: hostile.file(hostile.model(hostile.dense(2**33))),
        "states layers with 42949672960 weights, and has 15",
    ),
    "weights of another size": (
        lambda mark: hostile.file(hostile.model(hostile.dense(2))),
        "Keras cannot read model.keras",
    ),
    "no weights": (lambda mark: packed({"config.json": b"{}", "metadata.json": b"{}"}), "it is not a file of Keras 3"),
    "further parts": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), {"assets/vocabulary.txt": b""}),
        "has the part 'assets/vocabulary.txt'",
    ),
    "parts above the archive": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), {"../../evil": b""}),
        "which is outside the archive",
    ),
    "a pickle": (pickle_with_code, "is not a complete zip archive"),
    "a bomb": (lambda mark: zip_bomb(), "it is not a file of Keras 3"),
    "cut off": (lambda mark: hostile.file(hostile.model(hostile.dense()))[:900], "is not a complete zip archive"),
    "weights that are cut off": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights()[:700]),
        "is not a complete file of HDF5",
    ),
    "weights that link to another file": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights(hostile.link_out)),
        "has a link 'layers' to another file or place",
    ),
    "weights that link to another place": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights(hostile.soft_link)),
        "has a link 'layers' to another file or place",
    ),
    "weights with the values of another file": (
        lambda mark: hostile.file(
            hostile.model(hostile.dense()), stored=hostile.weights(hostile.values_of_another_file)
        ),
        "takes the values of /layers/dense/vars/0 from another file",
    ),
    "weights of a terabyte": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights(hostile.array_of_a_terabyte)),
        "has weights of 1099511627776 bytes in a file of",
    ),
    "weights that are texts": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights(hostile.array_of_texts)),
        "which is no array of numbers",
    ),
    "weights in a circle": (
        lambda mark: hostile.file(hostile.model(hostile.dense()), stored=hostile.weights(hostile.group_in_itself)),
        "states layers with 15 weights, and has 0",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_or_hostile_file_is_refused_and_nothing_runs(keras: Any, tmp_path: Path, name: str) -> None:
    data, sentence = FILES[name]
    mark = tmp_path / "executed"
    assert sentence in refused(folder(tmp_path / "m", data(mark)))
    assert not mark.exists()


H5: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a Lambda layer": (
        lambda mark: hostile.hdf5(hostile.model(hostile.lambda_layer(mark))),
        "has Lambda layers, which are code: evil",
    ),
    "a class of the system": (
        lambda mark: hostile.hdf5(hostile.model(hostile.layer("Popen", "subprocess"))),
        "needs subprocess.Popen",
    ),
    "weights alone": (lambda mark: hostile.hdf5(None), "has weights, and no model"),
    "a configuration that is no JSON": (lambda mark: hostile.hdf5("{"), "Keras cannot read"),
    "a pickle": (pickle_with_code, "is not a complete file of HDF5"),
}


@pytest.mark.parametrize("name", H5)
def test_a_file_of_hdf5_is_refused_in_the_same_way(keras: Any, tmp_path: Path, name: str) -> None:
    data, sentence = H5[name]
    mark = tmp_path / "executed"
    assert sentence in refused(folder(tmp_path / "m", data(mark), format="keras-h5"))
    assert not mark.exists()


def test_a_file_of_hdf5_is_not_read_before_its_digest_was_compared(keras: Any, tmp_path: Path) -> None:
    path = folder(tmp_path / "m", hostile.hdf5(None), format="keras-h5")
    (path / "model.keras").write_bytes(b"another")
    assert "is not the artifact that fairlead.yaml names" in refused(path)


def test_a_lambda_layer_runs_if_the_manifest_names_it(keras: Any, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    data = hostile.file(hostile.model(hostile.lambda_layer(mark), hostile.dense()))
    assert "evil" in refused(folder(tmp_path / "other", data, trusted=["another"]))
    model = load_folder(folder(tmp_path / "m", data, trusted=["evil"])).start()
    (answer,) = model.predict([model.row_type.model_validate({"x": [1.0, 2.0, 3.0, 4.0]})])
    assert answer.model_dump() == {"dense": [10.0, 10.0, 10.0]}
    assert mark.exists()


def test_what_lambda_layers_return_is_declared(keras: Any, tmp_path: Path) -> None:
    data = hostile.file(hostile.model(hostile.lambda_layer(tmp_path / "executed"), hostile.dense()))
    path = folder(tmp_path / "m", data, trusted=["evil"], inputs=[], outputs=[])
    assert "Declare `inputs` and `outputs`" in refused(path)
    assert not (tmp_path / "executed").exists()


def test_the_same_model_gives_the_same_bytes(keras: Any, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="dense")])
    for name in ("keras", "keras-h5"):
        stated = {"name": "m", "version": "1.0.0", "format": name, **STATED}
        written = [write_folder(tmp_path / name, stated, model).manifest.artifact for _ in range(2)]
        assert written[0] == written[1]


def test_a_model_that_was_built_with_a_batch_takes_any_number_of_rows(keras: Any, tmp_path: Path) -> None:
    data = hostile.file(hostile.layer("Sequential", "keras", name="m", layers=[
        hostile.layer("InputLayer", batch_shape=[2, 4], dtype="float32", name="x"), hostile.dense()]))  # fmt: skip
    model = load_folder(folder(tmp_path / "m", data, inputs=[], outputs=[])).start()
    rows = [model.row_type.model_validate({"x": [1.0, 2.0, 3.0, float(last)]}) for last in range(5)]
    assert [answer.model_dump()["dense"][0] for answer in model.predict(rows)] == [6.0, 7.0, 8.0, 9.0, 10.0]


def test_new_writes_the_folder_of_a_file(keras: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.keras").write_bytes(hostile.file(hostile.model(hostile.dense())))
    new.command("net", tmp_path / "net.keras", None, None, None, "1.0.0", tmp_path / "out")
    made = load_folder(tmp_path / "out/net/1.0.0")
    assert [(one.name, one.shape) for one in (*made.manifest.inputs, *made.manifest.outputs)] == [
        ("x", (-1, 4)),
        ("dense", (-1, 3)),
    ]
    assert len(made.golden) == 8
    assert "fit to serve" in capsys.readouterr().out


def test_new_wants_the_digest_of_a_file_of_hdf5(keras: Any, tmp_path: Path) -> None:
    file = tmp_path / "net.h5"
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="dense")])
    write_folder(tmp_path / "m", {"name": "m", "version": "1", "format": "keras-h5", **STATED}, model)
    file.write_bytes((tmp_path / "m/artifact/model.h5").read_bytes())
    with pytest.raises(errors.Refused, match=digest_of(file)):
        new.command("net", file, None, None, None, "1.0.0", tmp_path / "out")
    new.command("net", file, digest_of(file), None, None, "1.0.0", tmp_path / "out")
    assert load_folder(tmp_path / "out/net/1.0.0").manifest.format == "keras-h5"


def test_the_commands_of_the_page_do_what_it_says(keras: Any, libraries: list[Path], tmp_path: Path) -> None:
    page = read_page(environments.ROOT / "docs" / "formats-keras.md", environments.ROOT)
    blocks = [block for block in page.console() if block.options.get("skip") == "needs Keras and PyTorch"]
    assert blocks
    copy = WorkingCopy(environments.ROOT, tmp_path / "fairlead", libraries)
    with Session(copy, tmp_path / "notes") as session:
        for block in blocks:
            session.run_block(block)

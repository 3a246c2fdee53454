"""What PyTorch's formats refuse, and that nothing of a refused file runs."""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.page import read_page
from docs.session import Session
from docs.working_copy import WorkingCopy
from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from support import environments
from support.formats.graphs_of_bytes import pickle_with_code

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.line(x)

def no_module():
    return "a text"
"""


def folder(path: Path, data: bytes, /, **manifest: Any) -> Path:
    path.mkdir()
    (path / "net.py").write_text(NET)
    (path / "model.pt").write_bytes(data)
    stated: dict[str, Any] = {
        "name": "m",
        "version": "1.0.0",
        "format": "torch-state-dict",
        "entry": "net:Net",
        "artifact": {"path": "model.pt", "sha256": hashlib.sha256(data).hexdigest()},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    }
    (path / "fairlead.yaml").write_text(yaml.safe_dump(stated | manifest))
    return path


def refused(path: Path) -> str:
    with pytest.raises(errors.FairleadError) as caught:
        load_folder(path).start()
    assert "\n" not in caught.value.message
    assert "Traceback" not in caught.value.message
    return f"{caught.value.message}\n  {caught.value.hint or ''}"


def saved(torch: Any, value: Any) -> bytes:
    written = io.BytesIO()
    torch.save(value, written)
    return written.getvalue()


def weights(torch: Any) -> dict[str, Any]:
    return {"line.weight": torch.tensor([[2.0, 3.0]]), "line.bias": torch.tensor([1.0])}


def scripted(torch: Any) -> bytes:
    written = io.BytesIO()
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), written)
    return written.getvalue()


def compressed(torch: Any) -> bytes:
    """The file of torch.save with a part that becomes 64 MiB when it is read."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(torch, weights(torch)))) as given, zipfile.ZipFile(written, "w") as packed:
        for part in given.infolist():
            big = part.filename.endswith("/data/0")
            how = zipfile.ZIP_DEFLATED if big else zipfile.ZIP_STORED
            packed.writestr(part.filename, b"\0" * 2**26 if big else given.read(part), how)
    return written.getvalue()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


SENTENCES: dict[str, tuple[Callable[[Any, Path], bytes], str]] = {
    "code in a pickle": (lambda torch, mark: saved(torch, {"line.bias": Evil(mark)}), "reading more could run code"),
    "a pickle without an archive": (lambda torch, mark: pickle_with_code(mark), "neither a file of torch.save nor"),
    "a whole module": (lambda torch, mark: saved(torch, torch.nn.Linear(2, 1)), "holds torch.nn.modules.linear.Linear"),
    "TorchScript": (lambda torch, mark: scripted(torch), "is a TorchScript archive, which PyTorch has deprecated"),
    "cut off": (lambda torch, mark: saved(torch, weights(torch))[:900], "is not a complete file of torch.save"),
    "compressed": (lambda torch, mark: compressed(torch), "has compressed parts"),
    "empty": (lambda torch, mark: b"", "neither a file of torch.save nor one of safetensors"),
    "a checkpoint": (
        lambda torch, mark: saved(torch, {"model": weights(torch), "epoch": 3}),
        "a dictionary whose model, epoch are no tensors",
    ),
    "a list": (lambda torch, mark: saved(torch, [1]), "holds a list, not the weights"),
    "a missing weight": (
        lambda torch, mark: saved(torch, {"line.bias": torch.zeros(1)}),
        r"are not those of Net: Missing key\(s\) in state_dict: .line.weight",
    ),
    "another size": (
        lambda torch, mark: saved(torch, weights(torch) | {"line.weight": torch.zeros(1, 7)}),
        "size mismatch for line.weight",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_is_not_the_weights_of_the_module_is_refused(torch: Any, tmp_path: Path, name: str) -> None:
    artifact, sentence = SENTENCES[name]
    mark = tmp_path / "executed"
    with pytest.raises(errors.FairleadError, match=sentence):
        load_folder(folder(tmp_path / "m", artifact(torch, mark))).start()
    refused(tmp_path / "m")
    assert not mark.exists()


def test_an_exported_graph_is_code_so_its_digest_is_checked_first(torch: Any, tmp_path: Path) -> None:
    """Its expressions are evaluated, so a file that was changed must not be read at all."""
    mark = tmp_path / "executed"
    program = torch.export.export(
        torch.nn.Linear(2, 1), (torch.zeros(3, 2),), dynamic_shapes=({0: torch.export.Dim("rows")},)
    )
    torch.export.save(program, tmp_path / "given.pt2")
    evil = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    with zipfile.ZipFile(tmp_path / "given.pt2") as given, zipfile.ZipFile(tmp_path / "evil.pt2", "w") as packed:
        for part in given.infolist():
            text = given.read(part)
            if part.filename.endswith("model.json"):
                text = text.replace(b"Symbol('s", f"[{evil}, Symbol('s".encode()).replace(
                    b"integer=True)", b"integer=True)][1]"
                )
            packed.writestr(part.filename, text)
    data, digest = (tmp_path / "evil.pt2").read_bytes(), hashlib.sha256((tmp_path / "given.pt2").read_bytes())
    path = folder(
        tmp_path / "m",
        data,
        format="torch-export",
        entry=None,
        artifact={"path": "model.pt", "sha256": digest.hexdigest()},
    )
    assert "is not the artifact that fairlead.yaml names" in refused(path)
    assert not mark.exists()


def test_an_exported_graph_that_is_cut_off_or_takes_another_row_is_refused(torch: Any, tmp_path: Path) -> None:
    written = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(2, 1), (torch.zeros(3, 2),)), written)
    stated: dict[str, Any] = {"format": "torch-export", "entry": None}
    assert "cannot load model.pt" in refused(folder(tmp_path / "cut", written.getvalue()[:2000], **stated))
    stated["inputs"] = [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}]
    found = refused(folder(tmp_path / "whole", written.getvalue(), **stated))
    assert "input is FP32 [-1, 2], and in the model FP32 [-1, 3, 2]" in found


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [("net:no_module", "made a str, which is not a torch.nn.Module"), ("net:absent", "net.py defines no 'absent'")],
)
def test_an_entry_that_makes_no_module_is_refused(torch: Any, tmp_path: Path, entry: str, sentence: str) -> None:
    assert sentence in refused(folder(tmp_path / "m", saved(torch, weights(torch)), entry=entry))


def test_outputs_that_the_module_does_not_return_are_named(torch: Any, tmp_path: Path) -> None:
    outputs = [{"name": name, "datatype": "FP32", "shape": [-1, 1]} for name in ("y", "z")]
    model = load_folder(folder(tmp_path / "m", saved(torch, weights(torch)), outputs=outputs)).start()
    with pytest.raises(errors.ModelFailed, match="the module returned 1 tensors, and the manifest has 2 outputs"):
        model.predict([model.row_type.model_validate({"x": [1.0, 2.0]})])


def test_without_a_gpu_cuda_is_refused_and_auto_says_that_it_uses_the_cpu(
    torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    path = folder(tmp_path / "m", saved(torch, weights(torch)))
    monkeypatch.setenv("FAIRLEAD_SERVING_DEVICE", "cuda")
    assert "the setting device is 'cuda', and PyTorch" in refused(path)
    monkeypatch.setenv("FAIRLEAD_SERVING_DEVICE", "auto")
    with caplog.at_level(logging.INFO, "fairlead"):
        model = load_folder(path).start()
    assert "the model runs on the CPU" in caplog.messages
    assert model.predict([model.row_type.model_validate({"x": [1.0, 2.0]})])[0].model_dump() == {"y": [9.0]}


def test_the_commands_of_the_page_do_what_it_says(torch: Any, libraries: list[Path], tmp_path: Path) -> None:
    page = read_page(environments.ROOT / "docs" / "formats-torch.md", environments.ROOT)
    blocks = [block for block in page.console() if block.options.get("skip") == "needs PyTorch"]
    assert blocks
    copy = WorkingCopy(environments.ROOT, tmp_path / "fairlead", libraries)
    with Session(copy, tmp_path / "notes") as session:
        for block in blocks:
            session.run_block(block)

"""A folder of an image model passes every check and serves files."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import yaml

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from support import environments
from support.image_files import text
from support.service import Service


@pytest.fixture(scope="module")
def pictures(libraries: list[Path]) -> Any:
    return importlib.import_module("support.formats.pictures")  # its libraries are here only now


@pytest.fixture(scope="module")
def folder(pictures: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("images")
    golden = []
    for name in pictures.COLORS:
        golden.append(scratch / f"{name}.png")
        golden[-1].write_bytes(pictures.color(name))
    found: Path = pictures.folder(scratch / "colors", golden)
    return found


@pytest.fixture(scope="module")
def service(folder: Path, libraries: list[Path]) -> Iterator[Service]:
    with Service(folder, log=folder.parent / "log", env=environments.variables(*libraries)) as running:
        yield running


def test_the_folder_passes_every_check(folder: Path) -> None:
    findings = check_folder(folder)
    assert [(one.check, one.message) for one in findings if one.outcome != "passed"] == []
    agreed = {one.check: one.message for one in findings}["protocols"]
    assert agreed == "3 golden and 8 made-up rows agree in JSON, list, V1, V2, file"


def test_golden_rows_name_files_of_the_folder(folder: Path, pictures: Any) -> None:
    lines = (folder / "golden.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["input"] == {"photo": {"file": "golden/2-photo.png"}}
    assert (folder / "golden/2-photo.png").read_bytes() == pictures.color("green")
    assert load_folder(folder).golden[1].input == {"photo": text(pictures.color("green"))}


def test_the_service_answers_with_labels_in_every_form(service: Service, pictures: Any) -> None:
    for name in pictures.COLORS:
        data = pictures.color(name, "JPEG")
        raw = service.ask("POST", "/predict", data, {"content-type": "image/jpeg"}).json()
        assert raw["color"][0]["label"] == name
        assert raw["color"][0]["score"] == pytest.approx(1, abs=0.02)
        assert service.predict({"photo": text(data)}).json() == raw
    form = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + data + b"\r\n--x--\r\n"
    assert service.ask("POST", "/predict", form, {"content-type": "multipart/form-data; boundary=x"}).json() == [raw]


def test_pixels_reach_a_model_in_a_process_of_its_own(tmp_path: Path, libraries: list[Path], pictures: Any) -> None:
    other = pictures.folder(tmp_path / "colors", [])
    stated = yaml.safe_load((other / "fairlead.yaml").read_text())
    (other / "fairlead.yaml").write_text(yaml.safe_dump(stated | {"isolation": "process"}))
    with Service(other, log=tmp_path / "log", env=environments.variables(*libraries)) as running:
        reply = running.ask("POST", "/predict", pictures.color("blue"), {"content-type": "image/png"})
    assert reply.json()["color"][0]["label"] == "blue"


@pytest.mark.parametrize(
    ("lines", "said"),
    [(["red", "green"], "has 2 lines, and the output 3 scores"), (None, "there is no 'labels.txt' in")],
)
def test_labels_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, pictures: Any, lines: list[str] | None, said: str
) -> None:
    other = tmp_path / "colors"
    pictures.folder(other, [])
    (other / "labels.txt").unlink()
    if lines is not None:
        (other / "labels.txt").write_text("\n".join(lines))
    with pytest.raises(errors.Invalid, match=said):
        load_folder(other)


def test_a_golden_image_that_is_missing_is_named(folder: Path, tmp_path: Path, pictures: Any) -> None:
    other = pictures.folder(tmp_path / "colors", [])
    stated = yaml.safe_load((other / "fairlead.yaml").read_text())
    (other / "fairlead.yaml").write_text(yaml.safe_dump(stated | {"golden": "golden.jsonl"}))
    (other / "golden.jsonl").write_text(json.dumps({"input": {"photo": {"file": "gone.png"}}, "expected": {}}))
    with pytest.raises(errors.Invalid, match=r"gone\.png"):
        load_folder(other)


def test_weights_with_torchvision_s_names_get_torchvision_s_pixels(torch: Any, tmp_path: Path) -> None:
    resnet = importlib.import_module("support.formats.resnet")
    torch.manual_seed(0)
    network = resnet.ResNet18().eval()
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    image = {"shorter_side": 256, "mean": mean, "std": std}
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{number}\n" for number in range(10)))
    manifest = {
        "name": "resnet",
        "version": "1.0.0",
        "format": "torch-state-dict",
        "entry": "resnet:ResNet18",
        "inputs": [{"name": "photo", "datatype": "FP32", "shape": [-1, 3, 224, 224], "image": image}],
        "outputs": [
            {
                "name": "classes",
                "datatype": "FP32",
                "shape": [-1, 10],
                "labels": {"file": "labels.txt", "top": 10, "scores": "logits"},
            }
        ],
    }
    path = tmp_path / "photo.png"
    photo = PIL.Image.effect_noise((300, 280), 90).convert("RGB")
    photo.save(path)
    code = Path(str(resnet.__file__))
    written = write_folder(
        tmp_path / "m", manifest, network, code=[code], files=[labels], golden_inputs=[{"photo": path}]
    )
    scaled = photo.resize((256 * 300 // 280, 256), PIL.Image.Resampling.BILINEAR)
    left, top = round((scaled.width - 224) / 2), 16
    pixels = np.asarray(scaled.crop((left, top, left + 224, top + 224)), np.float32) / 255
    given = ((pixels - np.array(mean, np.float32)) / np.array(std, np.float32)).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        own = torch.softmax(network(torch.from_numpy(np.ascontiguousarray(given))), 1)[0].tolist()
    found = {int(one["label"]): one["score"] for one in written.golden[0].expected["classes"]}
    assert [found[number] for number in range(10)] == pytest.approx(own, rel=1e-3)

"""A folder of an image model passes every check and serves files."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import PIL.Image
import pytest
import yaml

from fairlead import errors
from fairlead.contracts.profile import IMAGE_LOOKS
from fairlead.profile.counted import Counted, read
from fairlead.profile.increases import Increases
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.new import sample
from fairlead.serving.reference.data import labels_of, rows_of
from fairlead.views.drift import Asked, Verdict, version_drift
from support import environments
from support.image_files import text
from support.photos import CHANGES, photo, png
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


@pytest.fixture(scope="module")
def profiled(pictures: Any, libraries: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose profile was built of a folder of photos by the command."""
    scratch = tmp_path_factory.mktemp("profiled")
    folder, photos, random = pictures.folder(scratch / "colors", []), scratch / "photos", np.random.default_rng(2026)
    (photos / "more").mkdir(parents=True)
    (photos / "__MACOSX").mkdir()
    for name, content in {
        "about.txt": "no image",
        "broken.png": "no image",
        "._000.png": "",
        "__MACOSX/1.png": "",
    }.items():
        (photos / name).write_text(content)
    for number in range(600):
        at = photos / ("more" if number % 2 else "") / f"{number:03}.png"
        at.write_bytes(png(photo(random)))
    command = [sys.executable, "-m", "fairlead.cli.main", "profile", "build", str(folder), "--data", str(photos)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environments.variables(*libraries)
    )
    assert done.returncode == 0, done.stderr
    assert "600 rows" in done.stderr
    assert f"1 files of {photos} are no images by their names" in done.stderr
    assert f"1 rows are not in it: the model does not answer them: {photos / 'broken.png'}: photo: " in done.stderr
    found: Path = folder
    return found


def counted(service: Service) -> Counted:
    return read(service.ask("GET", "/metrics/drift").body.decode())


def test_changed_pictures_are_found_by_drift_and_others_are_not(profiled: Path, libraries: list[Path]) -> None:
    random = np.random.default_rng(2027)
    later, drifted = [photo(random) for _ in range(520)], dict[str, set[str]]()
    unchanged: Mapping[str, Any] = {"unchanged": (lambda one: one, frozenset())}
    with Service(profiled, log=profiled.parent / "log", env=environments.variables(*libraries)) as running:
        for name, (change, _) in {**unchanged, **CHANGES}.items():
            counts = Increases()
            counts.increase({"service": counted(running)})
            for one in later:
                running.ask("POST", "/predict", png(change(one)), {"content-type": "image/png"})
            asked = Asked("1.0.0", "stable", 1, counts.increase({"service": counted(running)}))
            found = version_drift(asked)
            inputs = [one for one in found.parts[0].features if one.kind == "input"]
            assert {one.name for one in inputs} == {f"photo.{name}" for name in IMAGE_LOOKS}
            drifted[name] = {one.name.removeprefix("photo.") for one in inputs if one.verdict is Verdict.DRIFTS}
    assert drifted == {"unchanged": set(), **{name: set(found_by) for name, (_, found_by) in CHANGES.items()}}


@pytest.mark.parametrize("form", ["bytes", "base64", "a structure"])
def test_a_table_has_images_as_their_bytes_or_as_base64(
    profiled: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png(photo(np.random.default_rng(1)))
    value = {"bytes": data, "base64": text(data), "a structure": {"bytes": data, "path": "1.png"}}[form]
    frame = pandas.DataFrame({"photo": [value], "label": ["red"]})
    monkeypatch.setattr(sample, "read", lambda *_: frame)  # pandas reads Parquet with a library that is not here
    assert rows_of(Path("held-out.parquet"), load_folder(profiled)) == [{"photo": text(data)}]


def test_a_folder_without_images_or_for_labels_is_refused(profiled: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="has no image files"):
        rows_of(tmp_path, load_folder(profiled))
    with pytest.raises(errors.Invalid, match="is a folder, which has no columns"):
        labels_of(tmp_path, "label", load_folder(profiled))


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

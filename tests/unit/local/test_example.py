import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from fairlead import errors
from fairlead.local import example


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An example whose platform names the model `named`, beside a model that it does not name."""
    folder = tmp_path / "sources"
    for name, code in (("named", "import model\nassert model.HERE\n"), ("other", "import no_such_library\n")):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "train.py").write_text(code)
        (folder / "models" / name / "model.py").write_text("HERE = True\n")
    (folder / "platform.yaml").write_text(
        "models: {named: {target: '1.0.0', versions: {'1.0.0': {source: build/models/named/1.0.0}}}}\n"
    )
    monkeypatch.setattr(example, "_sources", lambda: (folder / "models", folder / "platform.yaml"))
    return folder


def test_only_the_models_that_the_platform_file_names_are_trained(sources: Path, tmp_path: Path) -> None:
    file = example.write(tmp_path / "example", quiet())
    assert file.is_file()
    assert sorted(path.name for path in (tmp_path / "example" / "models").iterdir()) == ["named"]


def test_a_training_script_imports_the_modules_beside_it(sources: Path, tmp_path: Path) -> None:
    script = sources / "models" / "named" / "train.py"
    script.write_text("import argparse, pathlib, model\npathlib.Path(__file__).with_name('done').touch()\n")
    example.write(tmp_path / "example", quiet())
    assert (tmp_path / "example" / "models" / "named" / "done").exists()


def test_a_script_that_fails_is_named_with_its_error(sources: Path, tmp_path: Path) -> None:
    (sources / "models" / "named" / "train.py").write_text("raise ValueError('no rows')\n")
    with pytest.raises(errors.Unavailable, match=r"train\.py failed: ValueError: no rows") as raised:
        example.write(tmp_path / "example", quiet())
    assert sys.executable in str(raised.value.hint)

"""What the format `skops` refuses, that nothing of a refused file runs, and that its folder comes from a file alone."""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from fairlead import errors
from fairlead.cli.commands import new
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from support.formats import estimators
from support.formats import skops_files as hostile
from support.formats.graphs_of_bytes import pickle_with_code


@pytest.fixture(scope="module")
def skops(libraries: list[Path]) -> Any:
    return importlib.import_module("skops.io")


def folder(path: Path, data: bytes, **manifest: Any) -> Path:
    path.mkdir()
    (path / "model.skops").write_bytes(data)
    artifact = {"path": "model.skops", "sha256": hashlib.sha256(data).hexdigest()}
    stated = {"name": "m", "version": "1.0.0", **estimators.STATED, "artifact": artifact} | manifest
    (path / "fairlead.yaml").write_text(yaml.safe_dump(stated))
    return path


def refused(path: Path) -> str:
    with pytest.raises(errors.FairleadError) as caught:
        load_folder(path).start()
    assert "\n" not in caught.value.message
    assert "Traceback" not in caught.value.message
    assert caught.value.hint
    return f"{caught.value.message}\n  {caught.value.hint}"


Schema = Callable[[Path], dict[str, Any]]
CODE: dict[str, tuple[Schema, str]] = {
    "a function of the system": (
        lambda mark: hostile.called(hostile.function("os", "system"), hostile.text(f"touch {mark}")),
        "os.system",
    ),
    "eval": (
        lambda mark: hostile.called(hostile.function("builtins", "eval"), hostile.text(f"open({str(mark)!r}, 'w')")),
        "builtins.eval",
    ),
    "a function inside of an estimator": (
        lambda mark: hostile.estimator(copy=hostile.function("subprocess", "getoutput")),
        "subprocess.getoutput",
    ),
    "a class that acts when it is made": (
        lambda mark: hostile.node(
            "pathlib", "PosixPath", "ConstructorFromReduceNode", content=hostile.tupled(hostile.touching(mark))
        ),
        "pathlib.PosixPath",
    ),
    "a type of the system": (lambda mark: hostile.listed(hostile.node("subprocess", "Popen", "TypeNode")), "Popen"),
    "a method": (
        lambda mark: hostile.node(
            "pathlib",
            "touch",
            "MethodNode",
            content={"func": "touch", "obj": hostile.node("pathlib", "PosixPath", "ObjectNode", content={})},
        ),
        "",
    ),
    "an operator under the name of a harmless one": (
        lambda mark: hostile.node(
            "operator", "methodcaller", "OperatorFuncNode", attrs=hostile.tupled(hostile.text("touch"))
        ),
        "",
    ),
    "a loss that is a type of the system": (
        lambda mark: hostile.node(
            "subprocess",
            "Popen",
            "LossNode",
            __reduce__={"args": hostile.tupled(hostile.text(["touch", str(mark)]))},
            content=hostile.mapped({}),
        ),
        "subprocess.Popen",
    ),
    "a generator of random numbers that is another function": (
        lambda mark: hostile.node(
            "numpy.random",
            "Generator",
            "RandomGeneratorNode",
            content={
                "bit_generator": hostile.mapped({"bit_generator": hostile.text("seed")}),
                "seed_seq": hostile.mapped({}),
            },
        ),
        "numpy.random.seed",
    ),
    "a loader that does not exist": (lambda mark: hostile.node("builtins", "str", "EvilNode"), "EvilNode"),
    "an object of an older protocol": (
        lambda mark: {"protocol": 0} | hostile.called(hostile.function("os", "system"), hostile.touching(mark)),
        "",
    ),
}


@pytest.mark.parametrize("name", CODE)
def test_a_file_that_would_run_code_is_refused_and_nothing_runs(skops: Any, tmp_path: Path, name: str) -> None:
    schema, sentence = CODE[name]
    mark = tmp_path / "executed"
    found = refused(folder(tmp_path / "m", hostile.file(schema(mark))))
    assert sentence in found
    assert not mark.exists()


DAMAGED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda mark: b"", "is not a complete zip archive"),
    "a pickle": (pickle_with_code, "is not a complete zip archive"),
    "cut off": (lambda mark: hostile.file(hostile.estimator())[:200], "is not a complete zip archive"),
    "another archive": (lambda mark: hostile.packed({"a.txt": b"a"}), "has no schema.json"),
    "a schema that is no JSON": (lambda mark: hostile.file(b"{"), "has a schema.json that is not JSON"),
    "a schema that is no object": (lambda mark: hostile.file(b"[]"), "has a schema.json that is no object"),
    "a schema that nests too deeply": (lambda mark: hostile.file(b"[" * 9999 + b"]" * 9999), "nested too deeply"),
    "a protocol of the future": (lambda mark: hostile.file({"protocol": 99}), "skops cannot read"),
    "objects that lack a part": (lambda mark: hostile.file({"__loader__": "ListNode"}), "skops cannot read"),
    "an array that is not there": (lambda mark: hostile.file(hostile.array(file="absent.npy")), "skops cannot read"),
    "an array that is a pickle": (
        lambda mark: hostile.file(hostile.array(file="a.npy"), {"a": pickle_with_code(mark)}),
        "skops cannot read",
    ),
    "an array of pickled objects": (
        lambda mark: hostile.file(
            hostile.array(file="a.npy"), {"a": hostile.npy([pickle.loads, pickle_with_code(mark)], pickled=True)}
        ),
        "skops cannot read",
    ),
    "an array of eight terabytes": (
        lambda mark: hostile.file(hostile.array(file="a.npy"), {"a": hostile.npy_of_a_huge_shape()}),
        "skops cannot read",
    ),
    "a bomb": (
        lambda mark: hostile.file(hostile.array(file="a.npy"), {"a": b"\0" * 2**29}, zipfile.ZIP_DEFLATED),
        "bytes when it is unpacked, more than",
    ),
    "a bomb inside": (
        lambda mark: hostile.packed(
            {"a.npz": hostile.packed({"b.npy": b"\0" * 2**29}, zipfile.ZIP_DEFLATED), "schema.json": b"{}"}
        ),
        "bytes when it is unpacked, more than",
    ),
    "objects again and again": (
        lambda mark: hostile.file(hostile.again_and_again(45)),
        "names the same objects again and again",
    ),
    "a part above the archive": (
        lambda mark: hostile.packed({"../../evil.npy": b"", "schema.json": b"{}"}),
        "which is outside the archive",
    ),
    "a part of the system": (
        lambda mark: hostile.packed({"/etc/passwd": b"", "schema.json": b"{}"}),
        "which is outside the archive",
    ),
    "parts in an unusual packing": (
        lambda mark: hostile.file(hostile.estimator(), how=zipfile.ZIP_LZMA),
        "encrypted or packed in an unusual way",
    ),
    "an object that holds itself": (
        lambda mark: hostile.file(
            hostile.listed(hostile.node("builtins", "list", "CachedNode", __id__=1), __id__=1)
        ),
        "skops cannot read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_or_hostile_file_is_refused_with_a_sentence(skops: Any, tmp_path: Path, name: str) -> None:
    data, sentence = DAMAGED[name]
    mark = tmp_path / "executed"
    assert sentence in refused(folder(tmp_path / "m", data(mark)))
    assert not mark.exists()


def test_types_are_refused_until_the_manifest_names_each_of_them(skops: Any, tmp_path: Path) -> None:
    data = skops.dumps(estimators.fitted("skops-forest"))
    found = refused(folder(tmp_path / "unnamed", data))
    assert f"types that skops does not trust: {estimators.TREE}" in found
    assert f"`trusted: [{estimators.TREE}]`" in found
    assert "a hostile one can end the process" in found
    other = refused(folder(tmp_path / "other", data, trusted=["sklearn.tree"]))
    assert estimators.TREE in other
    named = folder(tmp_path / "named", data, trusted=[estimators.TREE])
    assert load_folder(named).start() is not None
    first = check_folder(named)[0]
    assert f"which is data, and {estimators.TREE}" in first.message


def test_the_same_estimator_gives_the_same_bytes_and_a_file_is_copied(skops: Any, tmp_path: Path) -> None:
    estimator = estimators.fitted("skops-line")
    stated = {"name": "m", "version": "1.0.0", **estimators.STATED}
    written = [
        write_folder(tmp_path / str(number), stated, value).folder / "artifact/model.skops"
        for number, value in enumerate((estimator, estimators.fitted("skops-line")))
    ]
    assert len({path.read_bytes() for path in written}) == 1
    skops.dump(estimator, tmp_path / "own.skops")
    copied = write_folder(tmp_path / "copied", stated, tmp_path / "own.skops").folder
    assert (copied / "artifact/model.skops").read_bytes() == (tmp_path / "own.skops").read_bytes()


def test_a_file_of_another_release_of_scikit_learn_is_refused_as_a_pickle_is(skops: Any, tmp_path: Path) -> None:
    parts = parts_of(skops.dumps(estimators.fitted("skops-line")))
    here = importlib.import_module("sklearn").__version__
    older = parts["schema.json"].replace(f'\\"{here}\\"'.encode(), b'\\"1.2.2\\"')
    changed = hostile.packed(parts | {"schema.json": older})
    assert f"built with scikit-learn 1.2.2, but {here} is installed" in refused(folder(tmp_path / "m", changed))


def test_the_libraries_of_the_objects_are_noted_and_told_if_they_are_not(skops: Any, tmp_path: Path) -> None:
    stated = {"name": "m", "version": "1.0.0", **estimators.STATED}
    made = write_folder(tmp_path / "m", stated, estimators.fitted("skops-line"))
    assert list(made.manifest.built_with) == ["scikit-learn"]


def test_a_class_of_the_training_script_is_refused_when_the_folder_is_written(skops: Any, tmp_path: Path) -> None:
    class OfTheTest(LogisticRegression):  # type: ignore[misc]
        pass

    OfTheTest.__module__, OfTheTest.__qualname__ = "__main__", "OfTheTest"
    stated = {"name": "m", "version": "1.0.0", **estimators.STATED}
    with pytest.raises(errors.Invalid, match="OfTheTest"):
        write_folder(tmp_path / "m", stated, OfTheTest())


def test_new_writes_the_folder_of_a_file_without_a_digest(
    skops: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skops.dump(estimators.fitted("skops-line"), tmp_path / "line.skops")
    new.command("line", tmp_path / "line.skops", None, None, None, "1.0.0", tmp_path / "out")
    made = load_folder(tmp_path / "out/line/1.0.0")
    assert made.manifest.format == "skops"
    assert len(made.golden) > 0
    assert "fit to serve" in capsys.readouterr().out


def test_new_wants_the_types_that_are_not_trusted(skops: Any, tmp_path: Path) -> None:
    file = tmp_path / "forest.skops"
    skops.dump(estimators.fitted("skops-forest"), file)
    with pytest.raises(errors.Refused, match=estimators.TREE) as caught:
        new.command("forest", file, None, None, None, "1.0.0", tmp_path / "out")
    assert "--trusted TYPE" in str(caught.value.hint)
    new.command("forest", file, None, None, None, "1.0.0", tmp_path / "out", trusted=[estimators.TREE])
    assert load_folder(tmp_path / "out/forest/1.0.0").manifest.trusted == (estimators.TREE,)


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}

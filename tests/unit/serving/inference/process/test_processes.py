from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.serving.app import build_app
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.inference import contract, warmup
from fairlead.serving.inference.process.codec import Codec
from fairlead.serving.inference.process.messages import Origin
from fairlead.serving.inference.process.processes import Processes
from fairlead.serving.settings import Settings
from support import folders

CHECKED = warmup.Batchable(True, "invariant", "")


def processes(folder: Path) -> tuple[Processes, contract.Contract]:
    served = load_folder(folder)
    terms = contract.Contract(served.row_type, served.answer_type, 4096)
    written = Codec(served.package, terms.row_type, terms.answer_type)
    return Processes(Origin(served.folder, served.package), Settings(), written), terms


def test_a_model_without_a_class_of_its_own_runs_in_a_process(tmp_path: Path) -> None:
    tensor: dict[str, Any] = {"datatype": "FP64", "shape": [-1]}
    manifest = {
        "name": "line",
        "version": "1",
        "format": "sklearn",
        "inputs": [{"name": "x", **tensor}],
        "outputs": [{"name": "y", **tensor}],
    }
    write_folder(tmp_path / "line", manifest, LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]))
    running, terms = processes(tmp_path / "line")
    try:
        assert running.start(lambda compute: CHECKED) is CHECKED
        (answer,) = running.compute(terms.decode_one(b'{"x": 2}'))
        assert type(answer) is terms.answer_type
        assert answer.model_dump() == {"y": pytest.approx(5.0)}
    finally:
        running.close()


def test_an_artifact_with_another_digest_is_the_same_error_as_without_a_process(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    (folder / "artifact.bin").write_bytes(b"3")
    running, _ = processes(folder)
    with pytest.raises(errors.ArtifactRejected, match="its sha256 is") as caught:
        running.start(lambda compute: CHECKED)
    assert caught.value.hint
    running.close()


def test_after_close_no_process_is_started(tmp_path: Path) -> None:
    running, _ = processes(folders.make(tmp_path / "m"))
    running.close()
    with pytest.raises(errors.Unavailable, match="is stopping"):
        running.replace()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
def test_a_made_up_row_that_ends_the_process_costs_the_batches_and_not_the_service(tmp_path: Path, alone: bool) -> None:
    known = "all(row.value in (1.5, -2) for row in rows)" if alone else "len(rows) == 1"
    code = folders.DOUBLER.replace(
        "        return [", f"        if not ({known}):\n            os._exit(3)\n        return ["
    )
    folder = folders.make(tmp_path / "m", code=f"import os{code}", golden=folders.GOLDEN[:1], isolation="process")

    async def served() -> None:
        app = build_app(load_folder(folder))
        async with app.lifespan():
            while app.state.phase in ("loading", "warming"):
                await asyncio.sleep(0.01)
            assert app.state.phase == "ready", app.state.reason
            assert 'reason="unchecked"' in app.metrics.text().decode()
            (row,) = app.plane.terms.decode_one(b'{"value": 1.5}')
            (answer,) = await app.plane.submit([row], 1, None).future
            assert answer.model_dump() == {"value": 3.0}

    asyncio.run(asyncio.wait_for(served(), 60))

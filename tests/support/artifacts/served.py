"""Serves artifacts in this process and compares the answers with the library's own. Prints one line of JSON for each.

python -m support.artifacts.served FOLDER STEP [OLDER]     every STEP-th kind; OLDER has pickles of an older library
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.golden import compare
from fairlead.serving.app import App, build_app
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from support.artifacts.kinds import COLUMNS, NUMBER, Kind, kinds, tensors
from support.folders import make
from support.small_models import Reply, ask

RTOL = 1e-6


def main(folder: Path, step: int, older: Path | None) -> None:
    """Serve the kinds, one after the other."""
    warnings.simplefilter("ignore")  # of fitting
    for number, kind in enumerate(islice(kinds(), 0, None, step)):
        print(json.dumps(_one(kind, folder / str(number))), flush=True)
    for file in sorted(older.glob("*.pkl")) if older else ():
        print(json.dumps(_older(file, folder / file.stem)), flush=True)


def _one(kind: Kind, folder: Path) -> dict[str, Any]:
    stated = {"name": "artifact", "version": "1.0.0", **kind.stated, **kind.more}
    code = folder.parent / "model.py"
    code.write_text(kind.code)
    try:
        write_folder(folder, stated, kind.estimator, code=[code] if kind.code else ())
    except errors.FairleadError as refused:
        return _result(kind.name, {"refused: written": 1}, refused.message)
    return asyncio.run(_served(kind.name, folder, kind.rows, kind.truth))


def _older(file: Path, folder: Path) -> dict[str, Any]:
    """A pickle of an older scikit-learn, in a folder that does not say so."""
    truth = json.loads(file.with_suffix(".json").read_text())
    text = {"inputs": tensors("text", datatype="BYTES"), "outputs": NUMBER}
    stated: dict[str, Any] = text if "text" in truth["rows"][0] else {"inputs": tensors(*COLUMNS), "outputs": NUMBER}
    make(folder, artifact=file.read_bytes(), golden=(), without=["entry"], format="pickle", **stated)
    name = f"scikit-learn {truth['version']}: {file.stem}"
    return asyncio.run(_served(name, folder, truth["rows"], truth["answers"]))


async def _served(
    name: str, folder: Path, rows: Sequence[Mapping[str, Any]], truth: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    try:
        app = build_app(load_folder(folder))
    except errors.FairleadError as refused:
        return _result(name, {"refused: read": 1}, refused.message)
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(0.001)
        if app.state.phase == "failed":
            return _result(name, {"refused: loaded": 1}, app.state.reason)
        alone = [await _predict(app, row) for row in rows]
        together = await asyncio.gather(*(_predict(app, row) for row in rows))
        listed = await _predict(app, rows)
    found: Counter[str] = Counter()
    why = ""
    for reply, wanted in zip([*alone, *together], [*truth, *truth], strict=True):
        verdict = _verdict(reply, [wanted], one=True)
        found[verdict] += 1
        why = why or _why(verdict, reply)
    verdict = _verdict(listed, truth, one=False)
    found[verdict] += 1
    return _result(name, found, why or _why(verdict, listed))


async def _predict(app: App, body: Any) -> Reply:
    return await ask(app, "POST", "/predict", json.dumps(body).encode())


def _verdict(reply: Reply, wanted: Sequence[Sequence[Any]], *, one: bool) -> str:
    if reply.status != 200:
        return "refused: asked"
    answers = [json.loads(reply.body)] if one else json.loads(reply.body)
    got = [list(answer.values()) for answer in answers]
    return "wrong" if compare(wanted, got, RTOL) else "right"


def _why(verdict: str, reply: Reply) -> str:
    return "" if verdict == "right" else reply.body.decode()[:400]


def _result(name: str, found: Mapping[str, int], why: str) -> dict[str, Any]:
    return {"name": name, "found": dict(found), "why": why}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)

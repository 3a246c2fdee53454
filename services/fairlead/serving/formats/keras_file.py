"""Reads a file `.keras` without Keras, and writes it in one form: an archive of a configuration and of weights."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from fairlead.contracts import json_text
from fairlead.serving.formats import archives
from fairlead.serving.formats.archives import Broken

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
CONFIG_BYTES = 2**26
_DATE = (1980, 1, 1, 0, 0, 0)


def config(file: Path) -> Any:
    """The configuration of the model. Raises Broken if the file is damaged, or has parts of other layers."""
    names = archives.check(file)
    if not {CONFIG, WEIGHTS} <= names:
        raise Broken(f"has no {CONFIG} with {WEIGHTS}: it is not a file of Keras 3")
    if others := sorted(names - {CONFIG, WEIGHTS, METADATA}):
        raise Broken(f"has the part {others[0][:60]!r}, which belongs to a layer that reads files")
    with zipfile.ZipFile(file) as archive:
        if archive.getinfo(CONFIG).file_size > CONFIG_BYTES:
            raise Broken(f"has a {CONFIG} of more than {CONFIG_BYTES} bytes")
        try:
            return json_text.read(archive.read(CONFIG))
        except (ValueError, zipfile.BadZipFile, EOFError) as cause:
            raise Broken(f"has a {CONFIG} that is not JSON: {' '.join(str(cause).split())[:120]}") from None


def copy_weights(file: Path, to: Path) -> None:
    """Write the weights to a file of their own. Raises Broken if they are damaged."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(WEIGHTS) as weights, to.open("wb") as copied:
            while chunk := weights.read(2**20):
                copied.write(chunk)
    except (zipfile.BadZipFile, EOFError, ValueError) as cause:
        raise Broken(f"has damaged weights: {cause}") from None


def rewrite(file: Path) -> None:
    """Make the file of Keras the same bytes each time: it has the time, and places in memory."""
    with zipfile.ZipFile(file) as given:
        parts = {name: given.read(name) for name in sorted(given.namelist())}
    metadata = json.loads(parts[METADATA])
    numbers: dict[int, int] = {}
    parts[METADATA] = json.dumps({name: one for name, one in metadata.items() if name != "date_saved"}).encode()
    parts[CONFIG] = json.dumps(_renumbered(json.loads(parts[CONFIG]), numbers)).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)


def _renumbered(value: Any, numbers: dict[int, int]) -> Any:
    if isinstance(value, list):
        return [_renumbered(one, numbers) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _renumbered(one, numbers) for name, one in value.items() if name != "compile_config"}
    if "shared_object_id" in found:
        found["shared_object_id"] = numbers.setdefault(found["shared_object_id"], len(numbers) + 1)
    return found

"""Finds and reads `fairlead.yaml`, the manifest of a model folder. It imports none of the folder's code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse_yaml

NAME = "fairlead.yaml"
_MOST_NAMED = 3
_MOST_LOOKED_AT = 1000


def read(folder: Path) -> Manifest:
    """The folder's manifest. Raises NotFound as `find`, or Invalid, which names the file and every wrong field."""
    file = find(folder)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as cause:
        raise errors.Invalid(f"{file} cannot be read: {cause}", hint="Write it in UTF-8.") from cause
    except OSError as cause:
        raise errors.Invalid(
            f"{file} cannot be read: {cause.strerror}", hint="Make it and the folders above it readable for you."
        ) from cause
    return parse_yaml(Manifest, text, str(file), hint="Every field is explained in docs/model-folder.md.")


def find(folder: Path) -> Path:
    """The path of the folder's manifest.

    Raises NotFound if there is none. Its message and hint name the model folders that may be meant: those inside, those
    beside, or the one that `folder` is a part of.
    """
    file = folder / NAME
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(folder) from None
    except OSError:  # it may be there: reading it says what is wrong
        pass
    return file


def _not_found(folder: Path) -> errors.NotFound:
    what = f"{folder} is a file, not a model folder" if folder.is_file() else f"{folder} is not a model folder"
    if not folder.exists():
        problem = f"there is no folder {folder}"
        beside = _inside(folder.parent)
        if beside:
            return errors.NotFound(
                f"{problem}; {folder.parent} holds {_listed(folder.parent, beside)}", hint=_one(beside)
            )
        return errors.NotFound(problem, hint="Check the path. How a model folder is written: docs/model-folder.md")
    if whole := next((above for above in folder.absolute().parents if (above / NAME).is_file()), None):
        return errors.NotFound(f"{what}: it is part of one", hint=f"Name that: {whole}")
    if inside := [] if folder.is_file() else _inside(folder):
        return errors.NotFound(f"{what}: it holds {_listed(folder, inside)}", hint=_one(inside))
    hint = "Name a folder that has one. How a model folder is written: docs/model-folder.md"
    return errors.NotFound(what if folder.is_file() else f"{what}: it has no {NAME}", hint=hint)


def _inside(folder: Path) -> list[Path]:
    """The model folders in a folder, else those one level further down; the newest version of a model is the last."""
    for pattern in (f"*/{NAME}", f"*/*/{NAME}"):
        if found := [file.parent for file in islice(folder.glob(pattern), _MOST_LOOKED_AT)]:
            return sorted(found, key=_order)
    return []


def _order(folder: Path) -> list[tuple[int, str]]:
    """Numbers in names are compared as numbers: 1.9.0 is before 1.10.0."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(folder))]


def _listed(folder: Path, found: Sequence[Path]) -> str:
    names = [str(one.relative_to(folder)) for one in found[-_MOST_NAMED:]]
    several = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    if len(found) > _MOST_NAMED:
        return f"{len(found)} model folders, the last ones {several}"
    return f"the model folder{'s' if len(found) > 1 else ''} {several}"


def _one(found: Sequence[Path]) -> str:
    return f"Name one of them: {found[-1]}" if len(found) > 1 else f"Name its folder: {found[-1]}"

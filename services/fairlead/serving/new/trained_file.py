"""Reads the trained file that a folder is written from. Reading a pickle runs code: the user names its digest first.

A file of skops is data: it needs no digest, and types that may be more than data are named by the user.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Artifact
from fairlead.serving.formats import artifact, base, pickle_libraries, version_skew
from fairlead.serving.formats.author_code import author_code
from fairlead.serving.formats.joblib import Joblib
from fairlead.serving.formats.skops import Skops
from fairlead.serving.new import network

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18")
"""How the files begin that joblib writes with `compress`: zlib, gzip, bz2, xz, lzma, lz4."""
READ = (
    "Files of joblib, pickle, XGBoost, LightGBM, skops, ONNX, Keras and torch.export (*.skops, *.onnx, *.keras, *.h5, "
    "*.pt2) are read."
)
_TRUST = "If you trust who wrote the file, name each type: --trusted TYPE. docs/formats-skops.md says what that means."
BY_HAND = "For another kind of file, write the folder with a model.py: docs/model-folder.md#writing-one."


@dataclass(frozen=True, slots=True)
class Trained:
    """The object that the file holds, and the format that its folder has."""

    value: Any
    format: str


def read(file: Path, sha256: str | None, code: Iterable[Path] = (), trusted: Iterable[str] = ()) -> Trained:
    """Read the file. `code` are the Python files that its classes and functions are defined in.

    `trusted` are types of a file of skops that are built although they are not known to be data. Raises NotFound or
    Invalid for a file that is none or holds no estimator, Refused for a pickle without its digest, for types that are
    not trusted, or if another version of a library wrote it, ArtifactRejected for a wrong digest, and ModelFailed if
    reading it fails.
    """
    form = _form(file)
    if form != "skops":
        check_trusted(file, sha256, "a pickle: reading it runs the code in it")
    elif sha256 is not None:
        check_digest(file, sha256)
    stated = Artifact(path=file.resolve().name, sha256=artifact.digest_of(file))
    adapter: base.Format = Skops(trusted) if form == "skops" else Joblib()
    # Not an import by the folder's rules: what is written must name these modules as the file does.
    sys.path[:0] = [str(path.absolute().parent) for path in code]
    with artifact.checked(file.resolve().parent, stated) as copy, pickle_libraries.observed() as seen:
        try:
            with author_code(f"reading {file} failed"):
                value = adapter.read(copy)
        except errors.Refused as refusal:
            raise errors.Refused(refusal.message, hint=_TRUST) from None
        except errors.ModelFailed as failure:
            hint = _hint(failure.__cause__)
            raise errors.ModelFailed("; ".join([failure.message, *_skews(seen)]), hint=hint) from failure.__cause__
    if skews := _skews(seen):
        hint = "Run this command with the libraries that the file was trained with, or train it again with these."
        raise errors.Refused(f"{file}: {'; '.join(skews)}", hint=hint)
    if isinstance(value, type) or not (callable(getattr(value, "predict", None)) or hasattr(value, "transform")):
        message = f"{file} holds a {type(value).__name__}, which has no method predict or transform"
        raise errors.Invalid(message, hint="Write the fitted estimator, or the whole pipeline, to the file.")
    estimator = base.library("sklearn.base", extra="sklearn", needed_for="`fairlead new`").BaseEstimator
    return Trained(value, form or ("sklearn" if isinstance(value, estimator) else "joblib"))


def start_of(file: Path) -> bytes:
    """The first bytes of a file. Raises NotFound, or Invalid if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(8)
    except FileNotFoundError:
        raise errors.NotFound(f"there is no file {file}", hint=READ) from None
    except IsADirectoryError:
        raise errors.Invalid(f"{file} is a folder, not a trained file", hint=f"{READ} {BY_HAND}") from None
    except OSError as cause:
        raise errors.Invalid(f"{file} cannot be read: {cause.strerror}") from cause


def _form(file: Path) -> str:
    """`skops`, or an empty text for a pickle. Raises Invalid for any other file."""
    start = start_of(file)
    if file.suffix.lower() == ".skops":
        return "skops"
    if _PICKLE.match(start) or start.startswith(_COMPRESSED):
        return ""
    network.check_none_of_pytorch(file)
    what = "is empty" if not start else "is a zip archive" if zipfile.is_zipfile(file) else "is no pickle"
    raise errors.Invalid(
        f"{file} {what}: its format is unknown",
        hint="Train and save the model again." if not start else f"{READ} {BY_HAND}",
    )


def check_trusted(file: Path, sha256: str | None, what: str) -> None:
    """Raise Refused if the digest of a file that is code is not stated, and ArtifactRejected if it is another one."""
    if sha256 is None:
        digest = artifact.digest_of(file)
        raise errors.Refused(
            f"{file} is {what}. Its sha256 is {digest}",
            hint=f"If you trust who wrote it, and this is the digest of what they wrote, add: --sha256 {digest}",
        )
    check_digest(file, sha256)


def check_digest(file: Path, sha256: str) -> None:
    """Raise ArtifactRejected if this is not the file's digest."""
    if sha256.lower() != (digest := artifact.digest_of(file)):
        raise errors.ArtifactRejected(
            f"{file} is not the file that you named: its sha256 is {digest}, not {sha256}. It was not read.",
            hint="Ask who wrote it for the digest.",
        )


def _skews(seen: pickle_libraries.Seen) -> list[str]:
    return version_skew.told_by_libraries(seen.skews)


def _hint(cause: BaseException | None) -> str:
    if isinstance(cause, ModuleNotFoundError):
        return f"Install {cause.name}; if it is a file of the training, name it: --code {cause.name}.py"
    if isinstance(cause, AttributeError) and "__main__" in str(cause):
        return "Move what it needs from the training script to a module, train again, and name it: --code FILE.py"
    return f"{READ} It must have been written with the libraries that are installed here."

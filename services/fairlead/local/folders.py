"""Reading the manifest of a model folder, without importing any of its code."""

from __future__ import annotations

from pathlib import Path

from fairlead import errors
from fairlead.contracts.instance import Wanted
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.route import VersionSpec


def read_manifest(folder: Path) -> Manifest:
    """Read and validate the folder's fairlead.yaml. Raises NotFound or Invalid, naming the file and the fields."""
    file = folder / "fairlead.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except NotADirectoryError:
        raise errors.NotFound(
            f"{folder} is a file, not a model folder", hint=f"name its folder: {folder.parent}"
        ) from None
    except FileNotFoundError:
        raise errors.NotFound(
            f"{folder} is not a model folder: it has no fairlead.yaml"
            if folder.exists()
            else f"there is no folder {folder}",
            hint="see docs/model-folder.md" if folder.exists() else "check the path",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"{file} cannot be read: {error}") from error
    return parse_yaml(Manifest, text, str(file))


def version_spec(folder: Path, instances: int = 1) -> tuple[Manifest, VersionSpec]:
    """The folder's manifest, and the version spec made from it."""
    manifest = read_manifest(folder)
    artifact = manifest.artifact.sha256 if manifest.artifact else ""
    return manifest, VersionSpec(source=str(folder.absolute()), artifact=artifact, instances=instances)


def changed_since(wanted: Wanted) -> str:
    """Why the folder is no longer the version that was deployed; empty if it is, or if it cannot be read.

    The service itself says why it cannot read a folder.
    """
    try:
        manifest, now = version_spec(Path(wanted.source))
    except errors.FairleadError:
        return ""
    if (manifest.name, now.ref(manifest.version)) == (wanted.model, wanted.ref):
        return ""
    return (
        f"not started: {wanted.source} was changed after {wanted.model} {wanted.ref} was deployed: it now holds "
        f"{manifest.name} {manifest.version} with the artifact {now.artifact[:12] or 'none'}; restore the folder, or "
        "give the new artifact a version and a folder of its own and deploy that"
    )

"""Prints the metadata of a model folder as build arguments for services/Dockerfile: `model_labels.py FOLDER`."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import requirements
from fairlead.contracts.formats import image_list
from fairlead.local.folders import version_spec
from fairlead.serving.formats.folder import ModelFolder, load_folder


def schema_digest(loaded: ModelFolder) -> str:
    """A digest of the input and output schemas of a model, with descriptions, but without version and artifact."""
    schemas: list[dict[str, Any]] = [kind.model_json_schema() for kind in (loaded.row_type, loaded.answer_type)]
    return hashlib.sha256(json.dumps(schemas, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def build_arguments(folder: Path) -> dict[str, str]:
    """The build arguments of services/Dockerfile, with their values.

    The schema is that of the imported class. It stays empty where the folder's requirements.txt is not installed.
    """
    manifest, version = version_spec(folder)
    missing = requirements.unmet(folder)
    if missing:
        print(f"model_labels.py: warning: the label schema-sha256 stays empty: {'; '.join(missing)}", file=sys.stderr)
        print(f"  {requirements.install_command(folder)}", file=sys.stderr)
    return {
        "NAME": manifest.name,
        "VERSION": manifest.version,
        "ARTIFACT_SHA256": version.artifact,
        "FOLDER_SHA256": version.folder,
        "SCHEMA_SHA256": "" if missing else schema_digest(load_folder(folder)),
        "REQUIREMENTS": image_list(manifest.format),
        "MODEL_BASE": "with-requirements" if (folder / requirements.FILE).exists() else "runtime",
    }


if __name__ == "__main__":
    try:
        print(*(f"--build-arg {name}={value}" for name, value in build_arguments(Path(sys.argv[1])).items()))
    except errors.FairleadError as error:
        sys.exit(f"model_labels.py: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))

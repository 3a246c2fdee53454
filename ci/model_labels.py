"""Prints the metadata of a model folder as build arguments for services/Dockerfile: `model_labels.py FOLDER`."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from fairlead.local.folders import version_spec
from fairlead.serving.formats.folder import ModelFolder, load_folder


def schema_digest(loaded: ModelFolder) -> str:
    """A digest of the input and output schemas of a model, with descriptions, but without version and artifact."""
    schemas: list[dict[str, Any]] = [kind.model_json_schema() for kind in (loaded.row_type, loaded.answer_type)]
    return hashlib.sha256(json.dumps(schemas, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def build_arguments(folder: Path) -> dict[str, str]:
    """The build arguments of services/Dockerfile, with their values."""
    loaded = load_folder(folder)
    artifact = loaded.manifest.artifact
    return {
        "NAME": loaded.manifest.name,
        "VERSION": loaded.manifest.version,
        "ARTIFACT_SHA256": artifact.sha256 if artifact else "",
        "FOLDER_SHA256": version_spec(folder)[1].folder,
        "SCHEMA_SHA256": schema_digest(loaded),
    }


if __name__ == "__main__":
    print(*(f"--build-arg {name}={value}" for name, value in build_arguments(Path(sys.argv[1])).items()))

"""k8s/samples: validated by the contracts, without a cluster. tests/e2e applies them to a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.contracts.action import ActionType
from fairlead.contracts.route import RouteSpec
from support.cluster.programs import REPOSITORY

SAMPLES = sorted((REPOSITORY / "k8s/samples").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_begins_with_a_comment_and_has_the_kind_in_its_name(path: Path) -> None:
    assert path.read_text().startswith("# ")
    for document in documents(path):
        assert document["apiVersion"] == "fairlead.dev/v1alpha1"
        assert document["kind"].lower() == path.stem.split("-")[0]


@pytest.mark.parametrize(
    "path", [path for path in SAMPLES if path.stem.startswith("modelroute-")], ids=lambda path: path.stem
)
def test_a_route_is_valid_and_its_images_have_digests(path: Path) -> None:
    (document,) = documents(path)
    spec = RouteSpec.model_validate(document["spec"])
    assert spec.model == document["metadata"]["name"]
    assert all("@sha256:" in version.image for version in spec.versions.values())


def test_the_action_has_a_type_that_exists() -> None:
    (document,) = documents(REPOSITORY / "k8s/samples/modelrouteaction-rollback.yaml")
    assert document["spec"]["type"] in set(ActionType)

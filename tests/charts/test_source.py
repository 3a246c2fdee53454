"""Where the model folder of a version comes from: the image, another image, an archive, a claim."""

from __future__ import annotations

from typing import Any

import pytest

from charts.sample import ARTIFACT, DIGEST, FETCHED, OTHER_DIGEST, with_version
from charts.schemas import complaints
from fairlead.contracts.route import RouteSpec
from support.helm import HelmFailed, Object, Rendered, container_of, notes, pod_of, render

NAME = "1.2.0"
IMAGE: dict[str, Any] = {
    "source": {"kind": "image", "reference": f"registry.example.com/iris@{DIGEST}", "path": "model"}
}
CLAIM: dict[str, Any] = {"artifact": ARTIFACT, "source": {"kind": "pvc", "claim": "models", "path": "iris/1.2.0"}}
NEW = ("--kube-version", "1.35.0")


def cached(**cache: Any) -> dict[str, Any]:
    return {**FETCHED, "source": {**FETCHED["source"], "cache": cache}}


def rendered(version: dict[str, Any], *more: str) -> Rendered:
    return render("model", with_version(NAME, version), more=more)


def deployment(version: dict[str, Any], *more: str) -> Object:
    [found] = [
        one
        for one in rendered(version, *more).of("Deployment")
        if one["metadata"]["labels"]["fairlead.dev/version"] == NAME
    ]
    return found


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_a_folder_in_an_image_is_an_image_volume_by_digest() -> None:
    found = deployment(IMAGE, *NEW)
    volume = {"name": "source", "image": {"reference": IMAGE["source"]["reference"], "pullPolicy": "IfNotPresent"}}
    assert volume in pod_of(found)["volumes"]
    assert {"name": "source", "mountPath": "/source", "readOnly": True} in container_of(found)["volumeMounts"]
    assert container_of(found)["args"] == ["serve", "/source/model"]
    assert complaints(found, "1.35") == []


@pytest.mark.parametrize("change", [{"reference": f"registry.example.com/iris@{OTHER_DIGEST}"}, {"path": "model2"}])
def test_another_image_or_another_folder_in_it_is_another_version(change: dict[str, str]) -> None:
    other = {"source": {**IMAGE["source"], **change}}
    names = {deployment(one, *NEW)["metadata"]["name"] for one in (IMAGE, other)}
    assert len(names) == 2
    for one in (IMAGE, other):
        spec = RouteSpec.model_validate(rendered(one, *NEW).one("ModelRoute")["spec"])
        assert f"iris-{spec.versions[NAME].ref(NAME).identity}" in names


@pytest.mark.parametrize(("release", "is_refused"), [("1.31.0", True), ("1.34.4", True), ("1.35.0", False)])
def test_image_volumes_are_refused_where_kubernetes_has_them_off(release: str, is_refused: bool) -> None:
    if not is_refused:
        deployment(IMAGE, "--kube-version", release)
        return
    with pytest.raises(
        HelmFailed, match=rf"source\.kind: is image, and Kubernetes v{release} has image volumes only with"
    ):
        deployment(IMAGE, "--kube-version", release)
    deployment({"source": {**IMAGE["source"], "featureGate": True}}, "--kube-version", release)


def test_a_folder_in_a_claim_is_mounted_read_only_and_compared_with_its_digest() -> None:
    found = deployment(CLAIM)
    claim = {"name": "source", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    assert claim in pod_of(found)["volumes"]
    assert {"name": "source", "mountPath": "/source", "readOnly": True} in container_of(found)["volumeMounts"]
    assert container_of(found)["args"] == ["serve", "/source/iris/1.2.0"]
    variables = environment(container_of(found))
    assert variables["FAIRLEAD_SERVING_FOLDER_SHA256"] == ARTIFACT
    assert variables["FAIRLEAD_SERVING_CHECK_FOLDER"] == "true"


@pytest.mark.parametrize(
    ("cache", "volume"),
    [
        ({"hostPath": "/var/cache/m"}, {"hostPath": {"path": "/var/cache/m", "type": "DirectoryOrCreate"}}),
        ({"claim": "archives", "size": "5Gi"}, {"persistentVolumeClaim": {"claimName": "archives"}}),
    ],
)
def test_only_the_container_that_fetches_sees_the_cache(cache: dict[str, str], volume: dict[str, Any]) -> None:
    found = deployment(cached(**cache))
    assert {"name": "cache", **volume} in pod_of(found)["volumes"]
    [unpack] = pod_of(found)["initContainers"]
    assert {"name": "cache", "mountPath": "/cache"} in unpack["volumeMounts"]
    assert environment(unpack)["FAIRLEAD_CACHE"] == "/cache"
    assert environment(unpack)["FAIRLEAD_CACHE_BYTES"] == str((5 if "size" in cache else 20) << 30)
    assert "cache" not in {one["name"] for one in container_of(found)["volumeMounts"]}


def test_the_notes_say_what_the_nodes_and_the_namespace_need() -> None:
    gated = {"source": {**IMAGE["source"], "featureGate": True}}
    told = " ".join(notes("model", with_version(NAME, gated)).split())
    assert "Nodes need containerd 2.1 or CRI-O 1.31" in told
    told = " ".join(notes("model", with_version(NAME, cached(hostPath="/var/cache/m"))).split())
    assert "Archives are kept on the nodes, in /var/cache/m. Pod Security refuses hostPath" in told
    for plain in (FETCHED, cached(claim="archives")):
        assert "Pod Security" not in notes("model", with_version(NAME, plain))


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ({"source": {"kind": "image"}}, r"source\.reference: \"\" names no image by its digest"),
        (
            {"source": {"kind": "image", "reference": "iris:1"}},
            r"source\.reference: \"iris:1\" names no image by its digest",
        ),
        ({**IMAGE, "artifact": ARTIFACT}, r"artifact: is set, but with kind image the digest of the reference"),
        ({"artifact": ARTIFACT, "source": {"kind": "pvc"}}, r"source\.claim: is empty, but kind pvc"),
        ({"source": {"kind": "pvc", "claim": "models"}}, r"artifact: is empty, but kind pvc must verify the folder"),
        (
            {"artifact": ARTIFACT, "source": {"kind": "pvc", "claim": "models", "path": "../other"}},
            r"source\.path: \"\.\./other\" leads out of the volume",
        ),
        (
            {"source": {"claim": "models"}},
            r"source\.claim: is for kind pvc, but kind is baked; set kind: pvc, or remove claim",
        ),
        (
            {**CLAIM, "source": {**CLAIM["source"], "cache": {"claim": "a"}}},
            r"source\.cache: is for kind init, but kind is pvc",
        ),
        (cached(hostPath="/a", claim="b"), r"source\.cache: is a folder of the node \(hostPath\) or a claim; set one"),
        (cached(size="1Gi"), r"source\.cache: is a folder of the node \(hostPath\) or a claim; set one"),
        (cached(hostPath="cache"), r"source\.cache\.hostPath: \"cache\" is not the path of a folder"),
        (cached(hostPath="/a/.."), r"source\.cache\.hostPath: \"/a/\.\.\" is not the path of a folder"),
        (cached(claim="a/b"), r'source\.cache\.claim: "a/b" is not a name of an object; write lower-case'),
        (
            {**FETCHED, "source": {**FETCHED["source"], "uri": "https://me:word@files.example.com/iris.tar.gz"}},
            r"source\.uri: has a user or a password, which everybody would see who may read the Deployment; remove it",
        ),
        (
            {**FETCHED, "source": {**cached(claim="a")["source"], "fetcher": {"image": "aws:1"}}},
            r"source\.cache: a fetcher of your own always downloads",
        ),
    ],
)
def test_sources_that_contradict_themselves_are_rejected_with_their_path(
    version: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(HelmFailed, match=rf"versions\.1\.2\.0\.{complaint}"):
        rendered(version, *NEW)


def test_an_address_reaches_the_container_as_it_was_written() -> None:
    version = {**FETCHED, "source": {**FETCHED["source"], "uri": "https://files.example.com/$(HOSTNAME)/iris.tar.gz"}}
    [container] = pod_of(deployment(version))["initContainers"]
    assert environment(container)["FAIRLEAD_SOURCE"] == "https://files.example.com/$$(HOSTNAME)/iris.tar.gz"

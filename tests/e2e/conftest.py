"""Tests that need a Kubernetes cluster in which pods run. `make e2e` brings all of it; see tests/support/cluster."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.size import FULL
from support import proof
from support.cluster.installed import PLATFORM, Installed, install_crds, installed
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.faults import classifiers, folders

Provide = Callable[[str], str]
STORIES = (
    "test_first_prediction",
    "test_release",
    "test_rollback",
    "test_versions",
    "test_evidence",
    "test_shadow",
    "test_gateways",
    "test_disturbances",
    "test_uninstall",
)
"""In the life of one platform: it is installed once, and taken away at the end."""
DOUBLERS = ("doubler:1.0.0", "doubler:1.1.0")
"""Images of the model that fails on command (tests/support/faults)."""
SORTERS = {
    "sorter:1.0.0": ("low", "middle", "high"),
    "sorter:1.1.0": ("low", "high", "middle"),
    "sorter:1.2.0": ("low", "middle", "high"),
}
"""Images of the classifier, by the order of its classes."""
MADE = (*DOUBLERS[::-1], *SORTERS)
"""In the order in which stories want them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no platform comes first, then the stories in their order."""
    items.sort(key=lambda item: STORIES.index(item.path.stem) + 1 if item.path.stem in STORIES else 0)


@pytest.fixture(scope="session")
def made() -> Iterator[Mapping[str, str]]:
    """The folders of versions that exist for tests, by image; the images are built one by one beside what comes next.

    Whoever wants one of them waits for it at ci/images' own lock, and hears there what failed.
    """
    folders = {name: _made(name) for name in MADE}
    one_by_one = 'exec < /dev/null &> /dev/null; for folder; do nice ci/images "$folder"; done'
    command = ["bash", "-c", one_by_one, "images", *folders.values()]
    # A group of its own to end it by; not a session of its own, where `nice` may count for nothing beside others.
    building = subprocess.Popen(command, cwd=REPOSITORY, process_group=0)
    if FULL:
        building.wait()  # what is measured is measured alone
    yield folders
    if building.poll() is None:
        os.killpg(building.pid, signal.SIGTERM)
        building.wait()


@pytest.fixture(scope="session")
def image(cluster: Cluster, request: pytest.FixtureRequest) -> Provide:
    """`image("iris:1.0.0")`: builds the image by ci/images, puts it on the node, gives its full name.

    In a cluster of the user's own, FAIRLEAD_LOAD_IMAGE is the command that puts an archive there, such as
    `kind load image-archive`; without it the images must be there already.
    """
    names: dict[str, str] = {}

    def provide(name: str) -> str:
        if name not in names:
            wanted = request.getfixturevalue("made")[name] if name in MADE else name
            done = subprocess.run([REPOSITORY / "ci/images", wanted], stdout=subprocess.PIPE, text=True, check=True)
            names[name], archive = done.stdout.split()
            if cluster.plan is not None:
                cluster.load(archive)
            elif loader := os.environ.get("FAIRLEAD_LOAD_IMAGE"):
                subprocess.run([*shlex.split(loader), archive], check=True)
        return names[name]

    return provide


def _made(name: str) -> str:
    """The folder of a version that exists for tests, where an image can be built of it."""
    model, _, version = name.partition(":")
    root = REPOSITORY / "build/models/.faults"
    shutil.rmtree(root / model / version, ignore_errors=True)
    if name in SORTERS:
        made = classifiers.make(root, model, version, SORTERS[name])
    else:
        made = folders.make(root, model, version)
    return str(made.relative_to(REPOSITORY))


@contextmanager
def _a_namespace(cluster: Cluster, story: str) -> Iterator[str]:
    name = f"e2e-{story}-{uuid.uuid4().hex[:4]}"  # the one of the run before may still be going
    cluster.client().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.client()("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one file, removed with all it holds."""
    story = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with _a_namespace(cluster, story) as name:
        yield name


@pytest.fixture(scope="session")
def platform(
    cluster: Cluster, image: Provide, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """charts/crds and charts/platform, for all stories, with their images and iris's on the node; waits for nothing.

    A story leaves it as it was: no model, two control planes, two gateways.
    """
    for name in ("control-plane", "envoy", "iris:1.0.0", "iris:1.1.0"):
        image(name)
    request.getfixturevalue("made")  # only now: these four are not to wait for them
    folder: Path = tmp_path_factory.mktemp("values")
    with _a_namespace(cluster, "stories") as name:
        since = time.monotonic()
        install_crds(cluster.client())
        with installed(cluster, name, folder, PLATFORM, since) as found:
            yield found


@pytest.fixture(scope="session")
def findings(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[proof.Findings]:
    """What the stories measure. All of them at full size, and none failed: tests/benchmarks/results/cluster.json."""
    found, began = proof.Findings(), time.monotonic()
    yield found
    told = {item.path.stem for item in request.session.items}
    if FULL and told.issuperset(STORIES) and not request.session.testsfailed:
        document = proof.as_document("cluster", _TITLE, "full", found, time.monotonic() - began)
        document["command"] = "FAIRLEAD_E2E_SIZE=full make e2e"
        server = json.loads(cluster.client()("version", "--output=json"))["serverVersion"]["gitVersion"]
        document["versions"] |= {"kubernetes": server.removeprefix("v")}
        (proof.RESULTS / "cluster.json").write_text(json.dumps(document, indent=1) + "\n")


_TITLE = "a release, and everything that happens to it, on a real cluster of one node"

"""Fixtures of the end-to-end tests, which need a Kubernetes cluster that runs pods. `make e2e` starts one."""

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
from support.cluster import images
from support.cluster.installed import PLATFORM, Installed, install_crds, installed
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.faults import classifiers, folders

Provide = Callable[[str], str]
PLATFORM_TESTS = (
    "test_first_prediction",
    "test_release",
    "test_rollback",
    "test_hostile",
    "test_versions",
    "test_managed",
    "test_cold",
    "test_namespaces",
    "test_evidence",
    "test_shadow",
    "test_stable_down",
    "test_autoscaling",
    "test_gateways",
    "test_disturbances",
    "test_tls",
    "test_uninstall",
    "test_upgrade",
)
"""The test modules that share one platform, in their order: the first one installs it, `test_uninstall` uninstalls it.
`test_upgrade` has another, which begins with older kinds, so it runs when nobody needs them any more."""
ALONE = {
    "cluster_cold": ("1,000 first requests in 50 cold starts, on a real cluster of one node", ("test_cold",)),
    "cluster_tls": ("certificates replaced between gateways and models, on a real cluster of one node", ("test_tls",)),
    "cluster_upgrade": (
        "every chart upgraded under load and rolled back, on a real cluster of one node",
        ("test_upgrade",),
    ),
}
"""Documents of one module each, so that it can be measured by itself."""
DOCUMENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cluster": (
        "a release, and everything that happens to it, on a real cluster of one node",
        tuple(one for one in PLATFORM_TESTS if (one,) not in [modules for _, modules in ALONE.values()]),
    ),
    **ALONE,
}
"""What is written to tests/benchmarks/results at full size: the title of each document, and the modules it is of."""
INSTALLED = pytest.StashKey[Installed]()
SECONDS = pytest.StashKey[dict[str, float]]()
"""How long each module has run."""
DOUBLERS = ("doubler:1.0.0", "doubler:1.1.0")
"""Images of the model that fails on command (tests/support/faults)."""
SORTERS = {
    "sorter:1.0.0": ("low", "middle", "high"),
    "sorter:1.1.0": ("low", "high", "middle"),
    "sorter:1.2.0": ("low", "middle", "high"),
}
"""Images of the classifier, by the order of its classes."""
TEST_MODELS = (*DOUBLERS[::-1], *SORTERS)
"""Images of models that exist only for tests, in the order in which the test modules need them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests without a platform first, then the modules of PLATFORM_TESTS in their order."""
    items.sort(key=lambda item: PLATFORM_TESTS.index(item.path.stem) + 1 if item.path.stem in PLATFORM_TESTS else 0)


@pytest.fixture(scope="session")
def model_folders() -> Iterator[Mapping[str, str]]:
    """The folders of the test models, by image. Their images are built one by one in the background.

    A test that needs one of them runs ci/images, which waits for its lock and reports errors of the build.
    """
    folders = {name: _write_model(name) for name in TEST_MODELS}
    one_by_one = 'exec < /dev/null &> /dev/null; for folder; do nice ci/images "$folder"; done'
    command = ["bash", "-c", one_by_one, "images", *folders.values()]
    # Its own process group, so that the group can be ended; no new session, in which `nice` may have no effect.
    building = subprocess.Popen(command, cwd=REPOSITORY, process_group=0)
    if FULL:
        building.wait()  # at full size nothing else runs during a measurement
    yield folders
    if building.poll() is None:
        os.killpg(building.pid, signal.SIGTERM)
        building.wait()


@pytest.fixture(scope="session")
def image(cluster: Cluster, request: pytest.FixtureRequest) -> Provide:
    """`image("iris:1.0.0")` builds an image with ci/images, loads it on the node and returns its full name.

    In a user's own cluster, FAIRLEAD_LOAD_IMAGE is the command that loads an archive, such as `kind load
    image-archive`. Without it the images must be in the cluster already.
    """
    names: dict[str, str] = {}

    def provide(name: str) -> str:
        if name not in names:
            source = request.getfixturevalue("model_folders")[name] if name in TEST_MODELS else name
            names[name], archive = images.build(source)
            if cluster.plan is not None:
                cluster.load(archive)
            elif loader := os.environ.get("FAIRLEAD_LOAD_IMAGE"):
                subprocess.run([*shlex.split(loader), archive], check=True)
        return names[name]

    return provide


def _write_model(name: str) -> str:
    """Write the folder of a test model below build/models, from which ci/images can build an image."""
    model, _, version = name.partition(":")
    root = REPOSITORY / "build/models/.faults"
    shutil.rmtree(root / model / version, ignore_errors=True)
    if name in SORTERS:
        folder = classifiers.make(root, model, version, SORTERS[name])
    else:
        folder = folders.make(root, model, version)
    return str(folder.relative_to(REPOSITORY))


@contextmanager
def temporary_namespace(cluster: Cluster, purpose: str) -> Iterator[str]:
    """A new namespace, which is removed with its content, without waiting for it."""
    name = f"e2e-{purpose}-{uuid.uuid4().hex[:4]}"  # the namespace of the last run may still be terminating
    cluster.client().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        cluster.client()("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one file, which is removed with its content."""
    purpose = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with temporary_namespace(cluster, purpose) as name:
        yield name


@pytest.fixture(scope="session")
def platform(
    cluster: Cluster, image: Provide, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """charts/crds and charts/platform for all PLATFORM_TESTS, with the images of the platform and of iris on the node.

    The fixture does not wait until the platform is ready. A test module leaves it as it was: without models, with two
    control planes and two gateways.
    """
    for name in ("control-plane", "envoy", "iris:1.0.0", "iris:1.1.0"):
        image(name)
    request.getfixturevalue("model_folders")  # only now, so that these four images are built first
    folder: Path = tmp_path_factory.mktemp("values")
    with temporary_namespace(cluster, "platform") as name:
        since = time.monotonic()
        install_crds(cluster.client())
        with installed(cluster, name, folder, PLATFORM, since) as found:
            request.config.stash[INSTALLED] = found
            yield found


@pytest.fixture(scope="module", autouse=True)
def models_are_removed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the models that a module has deployed, also if its setup failed: they would disturb the next module."""
    yield
    platform = request.config.stash.get(INSTALLED, None)
    if platform is not None:
        for model in sorted(platform.models):
            platform.remove(model)


@pytest.fixture(scope="module", autouse=True)
def timed(request: pytest.FixtureRequest) -> Iterator[None]:
    """How long a module runs, with its fixtures, which do most of the work."""
    began = time.monotonic()
    yield
    request.session.stash.setdefault(SECONDS, {})[request.path.stem] = time.monotonic() - began


@pytest.fixture(scope="session")
def measured(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Mapping[str, proof.Findings]]:
    """The measurements of the tests, by document. At full size a document is written to tests/benchmarks/results if all
    of its modules ran and no test failed."""
    found = {name: proof.Findings() for name in DOCUMENTS}
    yield found
    ran = {item.path.stem for item in request.session.items}
    for name, (title, modules) in DOCUMENTS.items():
        if not FULL or not ran.issuperset(modules) or request.session.testsfailed:
            continue
        seconds = sum(request.session.stash[SECONDS][module] for module in modules)
        document = proof.as_document(name, title, "full", found[name], seconds)
        chosen = f' ARGS="{" ".join(f"tests/e2e/{one}.py" for one in modules)}"' if len(modules) == 1 else ""
        document["command"] = f"FAIRLEAD_E2E_SIZE=full make e2e{chosen}"
        server = json.loads(cluster.client()("version", "--output=json"))["serverVersion"]["gitVersion"]
        document["versions"] |= {"kubernetes": server.removeprefix("v")}
        (proof.RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


@pytest.fixture(scope="module")
def findings(measured: Mapping[str, proof.Findings], request: pytest.FixtureRequest) -> proof.Findings:
    """Where the tests of a module write what they measured."""
    here = request.path.stem
    return next((measured[name] for name, (_, modules) in DOCUMENTS.items() if here in modules), proof.Findings())

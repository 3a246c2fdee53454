from __future__ import annotations

import importlib.metadata

import fairlead


def test_the_public_names_are_exactly_these_and_sorted() -> None:
    assert fairlead.__all__ == sorted(["Model", "__version__"])


def test_every_public_name_exists() -> None:
    assert all(hasattr(fairlead, name) for name in fairlead.__all__)


def test_no_other_name_looks_public() -> None:
    modules = {
        "errors",
        "logs",
        "model",
        "contracts",
        "serving",
        "repeat",
        "slow_clients",
        "tls",
        "placement",
        "profile",
        "rehearsal",
        "rollout",
        "routing",
        "store",
        "control",
        "local",
        "calibration",
        "optimization",
        "replay",
        "cli",
        "views",
    }
    assert {name for name in vars(fairlead) if not name.startswith("_")} - modules <= set(fairlead.__all__)


def test_the_version_equals_that_of_the_distribution() -> None:
    assert fairlead.__version__ == importlib.metadata.version("fairlead")

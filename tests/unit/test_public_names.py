from __future__ import annotations

import importlib.metadata

import fairlead


def test_the_promised_names_are_these_and_sorted() -> None:
    assert fairlead.__all__ == sorted(["Model", "__version__"])


def test_every_promised_name_is_there() -> None:
    assert all(hasattr(fairlead, name) for name in fairlead.__all__)


def test_no_other_name_looks_promised() -> None:
    modules = {
        "errors",
        "logs",
        "model",
        "contracts",
        "serving",
        "real",
        "repeat",
        "rehearsal",
        "rollout",
        "routing",
        "store",
        "control",
        "local",
        "cli",
    }
    assert {name for name in vars(fairlead) if not name.startswith("_")} - modules <= set(fairlead.__all__)


def test_the_version_is_the_distribution_s() -> None:
    assert fairlead.__version__ == importlib.metadata.version("fairlead")

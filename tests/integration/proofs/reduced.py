"""Helpers of the tests that run proofs at their reduced size."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType


def name_of(module: ModuleType) -> str:
    """The name of a proof's file, without its suffix."""
    return module.__name__.rpartition(".")[2]


def assert_holds(module: ModuleType, folder: Path) -> None:
    """Run a proof at its reduced size. It must make claims, and all of them must hold."""
    findings = module.prove("reduced", folder)
    assert findings.claims
    assert not findings.broken

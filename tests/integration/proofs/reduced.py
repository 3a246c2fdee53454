"""What the tests of all proofs have in common."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType


def named(module: ModuleType) -> str:
    """Its file's name."""
    return module.__name__.rpartition(".")[2]


def holds(module: ModuleType, folder: Path) -> None:
    """Run a proof at its reduced size: it claims something, and no claim is broken."""
    findings = module.prove("reduced", folder)
    assert findings.claims
    assert not findings.broken

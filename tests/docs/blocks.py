"""Checks the blocks that are not commands: Python compiles and its imports exist, YAML and JSON parse and validate."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from docs.page import Block, PageError
from fairlead.contracts.access import Access
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.platform import Platform
from fairlead.contracts.route import RouteSpec, Strategy
from fairlead.contracts.scenario import Scenario
from support.environments import python

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"

# The contract for a YAML block, by the file name in its first line, such as `# platform.yaml`.
_NAMED: dict[str, type[BaseModel]] = {
    "access.yaml": Access,
    "fairlead.yaml": Manifest,
    "platform.yaml": Platform,
    "route.yaml": RouteSpec,
    "scenario.yaml": Scenario,
    "strategy.yaml": Strategy,
}
_UNCHECKED = {"text", "mermaid", "http", "html", "csv"}
_OF_ONE_FORMAT = {"torch"}
"""Libraries that only the models of one format need. Their imports are looked at only where they are installed."""
_SHELL = {"bash", "sh", "shell", "zsh", ""}


def check(block: Block) -> None:
    """Raise PageError if a block is not valid for its language and the file that its first line names."""
    if block.language in _SHELL:
        raise PageError(
            f"{block.place}: the tests do not run blocks of {block.language or 'no language'}; write commands as "
            "```console with `$ ` lines, and other text as ```text"
        )
    if block.language == "console":
        block.commands()
    elif block.language in _CHECKS:
        try:
            _CHECKS[block.language](block)
        except (SyntaxError, ValueError, ValidationError, yaml.YAMLError, ImportError, AttributeError) as error:
            raise PageError(f"{block.place}: {error}") from error
    elif block.language not in _UNCHECKED:
        raise PageError(
            f"{block.place}: there is no check for blocks of {block.language!r}; add one in tests/docs/blocks.py"
        )


def _python(block: Block) -> None:
    tree = ast.parse(block.text, block.place)
    compile(tree, block.place, "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name not in _OF_ONE_FORMAT or importlib.util.find_spec(name.name):
                    importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for name in node.names:
                getattr(module, name.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fairlead":
            getattr(importlib.import_module("fairlead"), node.attr)


def _yaml(block: Block) -> None:
    documents: list[Any] = list(yaml.safe_load_all(block.text))
    first = block.lines[0].lstrip("# ").split() if block.lines and block.lines[0].startswith("#") else []
    contract = _NAMED.get(first[0].rsplit("/", 1)[-1].rstrip(":,")) if first else None
    for document in documents if contract else ():
        assert contract is not None
        contract.model_validate(document)


def _json(block: Block) -> None:
    json.loads(block.text)


def _jsonnet(block: Block) -> None:
    """A real Jsonnet evaluates it, with the mixin of this checkout in the place of the vendored one."""
    text = block.text.replace("vendor/fairlead/monitoring", str(MONITORING))
    program = "import _jsonnet, sys; _jsonnet.evaluate_snippet('block', sys.argv[1])"
    done = subprocess.run([python("jsonnet"), "-c", program, text], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)


_CHECKS: dict[str, Callable[[Block], None]] = {
    "python": _python,
    "yaml": _yaml,
    "json": _json,
    "jsonnet": _jsonnet,
}

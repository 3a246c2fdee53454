"""Blocks that need a cluster, checked as far as it goes without one: charts render, files exist, commands are known.

A YAML block whose first line is nothing but a file's name, `# iris.yaml`, is that file for the commands of its page.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from docs.page import Command, Page, PageError
from fairlead.cli.main import COMMANDS
from support.helm import ROOT, HelmFailed, helm

_FILE = re.compile(r"# ([\w./-]+\.yaml)")
_RENDERED = ("install", "upgrade")
_OF_A_RELEASE = ("test", "rollback", "history", "status", "uninstall")
_FOR_CLUSTERS_ONLY = ("--wait", "--create-namespace", "--install")
_KUBECTL = {
    *("annotate", "apply", "auth", "create", "delete", "describe", "get", "label", "logs", "port-forward"),
    *("rollout", "scale", "wait"),
}


def write_files(page: Page, folder: Path) -> None:
    """The page's own files, for its commands to find."""
    for block in page.blocks:
        name = _FILE.fullmatch(block.lines[0].strip()) if block.language == "yaml" and block.lines else None
        if name:
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def check(command: Command, place: str, folder: Path) -> None:
    """Raises PageError for a command that no cluster could run."""
    program, *arguments = shlex.split(command.text)
    match program:
        case "helm":
            _helm(arguments, place, folder)
        case "kubectl":
            _kubectl(arguments, place, folder)
        case "fairlead" if arguments and arguments[0] in COMMANDS:
            pass
        case "curl":
            pass
        case _:
            raise PageError(f"{place}: {command.text!r} needs no cluster: a block marked so holds helm, kubectl, curl")


def _helm(arguments: list[str], place: str, folder: Path) -> None:
    verb, *rest = arguments
    if verb in _OF_A_RELEASE:
        return
    if verb not in _RENDERED:
        raise PageError(f"{place}: nothing checks `helm {verb}`; see tests/docs/cluster.py")
    words = [_at_home(word, folder) for word in rest if word not in _FOR_CLUSTERS_ONLY]
    charts = [word for word in words if word.startswith(str(ROOT / "charts"))]
    if len(charts) != 1:
        raise PageError(f"{place}: `helm {verb}` names no chart of this repository")
    try:
        helm("template", *words)
    except HelmFailed as error:
        raise PageError(f"{place}: helm {shlex.join(rest)}: {error}") from error


def _at_home(word: str, folder: Path) -> str:
    """Charts are the repository's, files the page's."""
    if word.startswith("charts/"):
        return str(ROOT / word)
    return str(folder / word) if word.endswith(".yaml") and "=" not in word else word


def _kubectl(arguments: list[str], place: str, folder: Path) -> None:
    if arguments[0] not in _KUBECTL:
        raise PageError(f"{place}: nothing checks `kubectl {arguments[0]}`; see tests/docs/cluster.py")
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option == "--filename" and not (folder / value).exists() and not (ROOT / value).exists():
            raise PageError(f"{place}: there is no {value}: neither on the page nor in the repository")

"""Checks blocks that need a cluster, without one: charts render, files exist, commands are known.

If the first line of a YAML block is only a file name, `# iris.yaml`, the commands of its page find the block as that
file.
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
    """Write the page's YAML blocks to the files that they name."""
    for block in page.blocks:
        name = _FILE.fullmatch(block.lines[0].strip()) if block.language == "yaml" and block.lines else None
        if name:
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def check(command: Command, place: str, folder: Path) -> None:
    """Raise PageError for a command that would fail on any cluster."""
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
            raise PageError(
                f"{place}: a cluster block has only helm, kubectl, curl and fairlead commands, not {command.text!r}"
            )


def _helm(arguments: list[str], place: str, folder: Path) -> None:
    verb, *rest = arguments
    if verb in _OF_A_RELEASE:
        return
    if verb not in _RENDERED:
        raise PageError(f"{place}: there is no check for `helm {verb}`; add one in tests/docs/cluster.py")
    words = [_resolve(word, folder) for word in rest if word not in _FOR_CLUSTERS_ONLY]
    charts = [word for word in words if Path(word).is_relative_to(ROOT / "charts") and not word.endswith(".yaml")]
    if len(charts) != 1:
        raise PageError(f"{place}: `helm {verb}` names no chart of this repository")
    try:
        helm("template", *words)
    except HelmFailed as error:
        raise PageError(f"{place}: helm {shlex.join(rest)}: {error}") from error


def _resolve(word: str, folder: Path) -> str:
    """The path of a chart in the repository, or of a file of the page; other words stay as they are."""
    if word.startswith("charts/"):
        return str(ROOT / word)
    return str(folder / word) if word.endswith(".yaml") and "=" not in word else word


def _kubectl(arguments: list[str], place: str, folder: Path) -> None:
    if arguments[0] not in _KUBECTL:
        raise PageError(f"{place}: there is no check for `kubectl {arguments[0]}`; add one in tests/docs/cluster.py")
    for option, value in zip(arguments, arguments[1:], strict=False):
        if option == "--filename" and not (folder / value).exists() and not (ROOT / value).exists():
            raise PageError(f"{place}: there is no file {value}, neither on the page nor in the repository")

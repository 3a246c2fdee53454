"""Parses a Markdown page into its fenced blocks and markers. It reads only fences, so it needs no Markdown library."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)$")
_PLATFORM = re.compile(r"<!--\s*tests: platform\s*-->")
_ENVIRONMENT = re.compile(r"<!--\s*tests: environment (?P<name>[a-z]+)\s*-->")


class PageError(ValueError):
    """A page that the tests cannot read. The message names file and line."""


@dataclass(frozen=True, slots=True)
class Command:
    """One `$ ` line with the expected output below it. `exit_code` is 0 unless the last line is `[exit N]`."""

    line: int
    text: str
    expected: tuple[str, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `options` are the words after the language: `skip="reason"`, `background`, `cluster`."""

    page: str
    line: int
    language: str
    options: dict[str, str]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The content of the block."""
        return "\n".join(self.lines) + "\n"

    @property
    def place(self) -> str:
        """The page and line of the block: `docs/cli.md:12`."""
        return f"{self.page}:{self.line}"

    def commands(self) -> list[Command]:
        """The commands of a console block. A `> ` line continues the line before. Raises PageError."""
        found: list[Command] = []
        for number, line in enumerate(self.lines, start=self.line + 1):
            if line.startswith("$ "):
                found.append(Command(number, line[2:]))
            elif not found:
                raise PageError(f"{self.page}:{number}: a console block begins with a `$ ` line, not with {line!r}")
            elif line.startswith("> ") and not found[-1].expected:
                found[-1] = Command(found[-1].line, f"{found[-1].text}\n{line[2:]}")
            else:
                last = found[-1]
                found[-1] = Command(last.line, last.text, (*last.expected, line))
        if not found:
            raise PageError(f"{self.place}: a console block without a `$ ` line; write ```text for output alone")
        return [_with_exit_code(command) for command in found]


@dataclass(frozen=True, slots=True)
class Page:
    """One page with its blocks in order. `needs_platform`: the page has the marker `<!-- tests: platform -->`.

    `environment`: the marker `<!-- tests: environment NAME -->` names one of `ci/environment`, whose packages it needs.
    """

    name: str
    blocks: tuple[Block, ...] = field(default=())
    needs_platform: bool = False
    environment: str = ""

    def console(self) -> list[Block]:
        """The console blocks."""
        return [block for block in self.blocks if block.language == "console"]


def read_page(path: Path, root: Path) -> Page:
    """Read the page at this path. Raises PageError."""
    return parse_page(str(path.relative_to(root)), path.read_text(encoding="utf-8"))


def parse_page(name: str, text: str) -> Page:
    """Parse the text of a page. Raises PageError for an invalid marker or a fence that is never closed."""
    blocks: list[Block] = []
    fence: re.Match[str] | None = None
    begin, content = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is None:
            fence = _FENCE.match(line)
            begin, content = number, []
        elif line.strip() and not line.strip().strip(fence["ticks"][0]) and len(line.strip()) >= len(fence["ticks"]):
            blocks.append(_block(name, begin, fence["info"], content))
            fence = None
        else:
            content.append(line.removeprefix(fence["indent"]))
    if fence is not None:
        raise PageError(f"{name}:{begin}: this fence is never closed")
    named = _ENVIRONMENT.search(text)
    return Page(name, tuple(blocks), bool(_PLATFORM.search(text)), named["name"] if named else "")


def _block(page: str, line: int, info: str, content: list[str]) -> Block:
    try:
        language, *words = shlex.split(info) or [""]
    except ValueError as error:
        raise PageError(f"{page}:{line}: {info!r}: {error}") from error
    options = dict(word.partition("=")[::2] for word in words)
    unknown = options.keys() - {"skip", "background", "cluster"}
    if unknown:
        known = "the known markers are skip, background and cluster"
        raise PageError(f"{page}:{line}: unknown marker {', '.join(sorted(unknown))}; {known}")
    if "skip" in options and not options["skip"].strip():
        raise PageError(f'{page}:{line}: skip needs a reason: skip="needs a cluster"')
    return Block(page, line, language, options, tuple(content))


def _with_exit_code(command: Command) -> Command:
    expected = list(command.expected)
    while expected and not expected[-1].strip():
        expected.pop()
    found = re.fullmatch(r"\[exit (\d+)\]", expected[-1].strip()) if expected else None
    if found:
        return Command(command.line, command.text, tuple(expected[:-1]), int(found[1]))
    return Command(command.line, command.text, tuple(expected))

"""Writes the tables of docs/platform-file.md from the contract. With --check it compares, and writes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead.contracts.platform import Platform
from fairlead.store.kubernetes.schema.structural import structural

PAGE = Path(__file__).parents[1] / "docs" / "platform-file.md"
_TYPES = {"integer": "whole number", "boolean": "true, false", "array": "list", "object": "fields", "number": "number"}
_DURATION = "(ms|s|m|h|d)"
# Each section has the fields below one path; a field belongs to the last section whose path begins its own.
SECTIONS = {
    "The gateway, the control plane, metrics": "",
    "A model": "models.MODEL.",
    "A strategy": "models.MODEL.strategy.",
    "A gate": "models.MODEL.strategy.gates[].",
}


def tables() -> dict[str, str]:
    """The table of each section, as Markdown."""
    rows: dict[str, list[str]] = {title: [] for title in SECTIONS}
    for path, field in _fields(structural(Platform, defaults=True)):
        title = max((one for one in SECTIONS if path.startswith(SECTIONS[one])), key=lambda one: len(SECTIONS[one]))
        meaning, _, default = field.get("description", "").partition(" Default: ")
        default = default.rstrip(".").strip('"')
        if default and _type(path, field) == "percentage":
            default = f"{int(default) / 100:g}%"
        default = f"`{default}`" if default else ""
        rows[title].append(
            f"| `{path.removeprefix(SECTIONS[title])}` | {_type(path, field)} | {default} | {meaning} |\n"
        )
    head = "| field | value | default | meaning |\n|---|---|---|---|\n"
    return {title: head + "".join(found) for title, found in rows.items()}


def _fields(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in node.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from _fields(field, f"{path}{name}.")
        yield from _fields(field.get("items", {}), f"{path}{name}[].")
        every = field.get("additionalProperties")
        yield from _fields(every if isinstance(every, dict) else {}, f"{path}{name}.{name.removesuffix('s').upper()}.")


def _type(path: str, field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if _DURATION in field.get("pattern", ""):
        return "duration"
    if path.endswith((".share", "steps[].weight")):
        return "percentage"
    return _TYPES.get(field["type"], "text")


def page(text: str) -> str:
    """The page with its tables written anew."""
    for title, table in tables().items():
        found = re.search(rf"(?ms)^## {title}\n.*?((?:^\|[^\n]*\|\n)+)", text)
        if found is None:
            raise SystemExit(f"ci/platform_page.py: {PAGE.name} has no section {title!r} with a table")
        text = text[: found.start(1)] + table + text[found.end(1) :]
    return text


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = page(before)
    if "--check" in sys.argv and after != before:
        raise SystemExit(f"{PAGE.name} is not what the contract says: run `python ci/platform_page.py`")
    PAGE.write_text(after, encoding="utf-8")

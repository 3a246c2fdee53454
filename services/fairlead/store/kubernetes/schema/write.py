"""The definitions as text, the same every time."""

from __future__ import annotations

import json
from typing import Any

import yaml

from fairlead.store.kubernetes.schema.definitions import definitions

HEADER = "# Made by ci/crds from services/fairlead/contracts: change those, and run it again.\n"
ON_ONE_LINE = 400
"""Parts of at most so many characters are written on one line: half the size, and a field reads as one thing."""


def files() -> dict[str, str]:
    """File name -> content of every generated file of charts/crds/templates."""
    return {f"{one['spec']['names']['plural']}.yaml": HEADER + _dump(one) for one in definitions()}


class _Plain(yaml.SafeDumper):
    """No anchors: two parts that happen to be equal are still written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # To kubectl and Helm a bare `n` is `false`, as YAML 1.1 has it; PyYAML knows only `no` as a word for that.
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="'" if data in ("y", "n", "Y", "N") else None)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        short = len(json.dumps(dict(mapping))) <= ON_ONE_LINE
        return super().represent_mapping(tag, mapping, flow_style=True if short else flow_style)


_Plain.add_representer(str, _Plain.represent_str)


def _dump(document: dict[str, Any]) -> str:
    return yaml.dump(
        document, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=10_000, allow_unicode=True
    )

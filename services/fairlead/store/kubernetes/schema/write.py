"""The definitions as text, the same every time."""

from __future__ import annotations

from typing import Any

import yaml

from fairlead.store.kubernetes.schema.definitions import definitions

HEADER = "# Made by ci/crds from services/fairlead/contracts: change those, and run it again.\n"


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


_Plain.add_representer(str, _Plain.represent_str)


def _dump(document: dict[str, Any]) -> str:
    # Leaves on one line each: half the size, and a field reads as one thing.
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=160, allow_unicode=True)

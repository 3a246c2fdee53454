"""`fairlead check-pool`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.options import ContextOption, JsonOption, NamespaceOption, PlatformLocation
from fairlead.cli.output import console, make_table, print_json


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show on which nodes a model's pods are; if one waits for a node, why, and what the nodes offer.

    For a cluster only. It changes nothing, and needs the right to list nodes and pods of the whole cluster.
    """
    if not PlatformLocation(context=context, namespace=namespace).in_cluster:
        raise errors.Invalid(
            "only a cluster has node pools, and none is named",
            hint=f"name its namespace: fairlead check-pool {model} --namespace NAME",
        )
    found = optional_modules.load("fairlead.cli.pool_check").look(context, namespace, model)
    if as_json:
        print_json({"pods": [one.to_json() for one in found.places], "nodes": [one.to_json() for one in found.offers]})
    else:
        rows = [(one.version, one.pod or "-", one.node or "-", _state(one.pod, one.node)) for one in found.places]
        console().print(make_table(("VERSION", "POD", "NODE", "STATE"), rows))
        if found.offers:
            offered = [
                (_names(one.names), _pairs(one.labels), ", ".join(one.taints) or "-", _devices(one.devices, one.free))
                for one in found.offers
            ]
            console().print(
                make_table(("NODES", "LABELS IT ASKS ABOUT", "TAINTS IT DOES NOT TOLERATE", "DEVICES"), offered)
            )
    if found.waiting:
        reasons = dict.fromkeys((one.version, one.why, one.advice) for one in found.waiting)
        raise errors.FairleadError(
            "\n  ".join(f"{model} {version}: {why}" for version, why, _ in reasons),
            hint="; ".join(dict.fromkeys(advice for _, _, advice in reasons)),
        )


def _state(pod: str, node: str) -> str:
    if not pod:
        return "not created"
    return "on its node" if node else "waits for a node"


def _names(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "-"


def _devices(devices: Mapping[str, int], free: Mapping[str, int] | None) -> str:
    def one(name: str, amount: int) -> str:
        return f"{amount} {name}" + ("" if free is None else f" ({free.get(name, 0)} free)")

    return ", ".join(one(name, amount) for name, amount in devices.items()) or "-"

"""`fairlead release`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to release.")],
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the route's target, which starts its guarded rollout. Use it after `fairlead deploy`."""
    connection = connect(PlatformLocation(state, context, namespace))
    route = connection.retarget(model, version, reason or f"release {version}")
    if as_json:
        print(json.dumps(route.to_json()))
        return
    steps = ", ".join(f"{step.weight / 100:g} %" for step in route.spec.strategy.steps) or "all at once"
    print(f"{model}: target is {version} (generation {route.generation}); steps {steps}")
    print(f"next: fairlead status {model} --watch, fairlead wait {model}, or fairlead rollback {model}")

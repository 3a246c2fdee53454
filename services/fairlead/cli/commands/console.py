"""`fairlead console`."""

from __future__ import annotations

import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer

from fairlead import errors
from fairlead.cli.options import DEFAULT_STATE, ContextOption, NamespaceOption, PlatformLocation, StateOption
from fairlead.cli.output import say
from fairlead.local.state import StateFolder

PORT = 8081
"""The port that the command for a cluster forwards: the control plane's own."""


def command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model; default: all models.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print the address of the console: the web pages of the control plane, which show every model and its rollout.

    In a cluster, print the command that forwards its port first.
    """
    location = PlatformLocation(state, context, namespace)
    path = f"/console/routes/{quote(model)}" if model else "/"
    if location.in_cluster:
        if open_it:
            raise errors.Invalid(
                "--open needs a forwarded port, and in a cluster this command forwards none",
                hint="leave out --open: it then prints the command that does, and the address",
            )
        selector = "app.kubernetes.io/component=control-plane"
        service = location.with_options(f"kubectl get service --output name --selector {selector}")
        say("forward the port of the control plane, and leave it running:")
        say(f"  {location.with_options('kubectl port-forward')} $({service}) {PORT}:http")
        say(f"then open http://127.0.0.1:{PORT}{path}")
        return
    run = StateFolder(state).running()
    address = f"http://127.0.0.1:{run.control.port}{path}"
    say(address)
    if open_it and not webbrowser.open(address):
        raise errors.Unavailable("no browser could be opened", hint=f"open {address} yourself")

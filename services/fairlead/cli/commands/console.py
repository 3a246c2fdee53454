"""`fairlead console`."""

from __future__ import annotations

import webbrowser
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from fairlead import errors
from fairlead.cli import action_client, optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, ContextOption, NamespaceOption, PlatformLocation, StateOption
from fairlead.cli.output import say
from fairlead.local.ports import LOOPBACK
from fairlead.local.state import StateFolder

PORT = 8081
"""The port that the command for a cluster forwards: the control plane's own."""


def command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model; default: all models.")] = None,
    act: Annotated[
        bool, typer.Option("--act", help="Print an address that signs you in, so that you can act.")
    ] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print the address of the console: the web pages of the control plane, which show every model and its rollout.

    With --act the address is good once, within two minutes: it signs the browser in as the owner of the platform. In a
    cluster, print the command that forwards the port first.
    """
    location = PlatformLocation(state, context, namespace)
    path = f"/console/routes/{quote(model)}" if model else "/"
    if location.in_cluster:
        _forward(location, path, act=act, open_it=open_it)
        return
    run = StateFolder(state).running()
    if model is not None:
        _require(location, model)
    if act:
        known = {"model": model} if model else {}
        path = f"/console/sign-in?{urlencode({**known, 'code': action_client.sign_in(state)})}"
    address = f"http://{LOOPBACK}:{run.control.port}{path}"
    say(address)
    if open_it and not webbrowser.open(address):
        raise errors.Unavailable("no browser could be opened", hint=f"open {address} yourself")


def _forward(location: PlatformLocation, path: str, *, act: bool, open_it: bool) -> None:
    if act:
        raise errors.Invalid(
            "--act works on one machine only: in a cluster the console cannot know who you are, so it only reads",
            hint="run the command that the page shows: Kubernetes checks your rights",
        )
    if open_it:
        raise errors.Invalid(
            "--open needs a forwarded port, and in a cluster this command forwards none",
            hint="leave out --open: it then prints the command that does, and the address",
        )
    found = optional_modules.load("fairlead.cli.cluster").platform_namespace(location.context, location.namespace)
    location = replace(location, namespace=found)
    selector = "app.kubernetes.io/component=control-plane"
    service = location.with_options(f"kubectl get service --output name --selector {selector}")
    say("forward the port of the control plane, and leave it running:")
    say(f"  {location.with_options('kubectl port-forward')} $({service}) {PORT}:http")
    say(f"then open http://{LOOPBACK}:{PORT}{path}")


def _require(location: PlatformLocation, model: str) -> None:
    """Raises NotFound if there is no page of this name. A model that was removed has one."""
    store = connect(location).store
    if model not in (one.name for one in store.unreadable_routes()) and not store.revisions(model, limit=1):
        store.route(model)

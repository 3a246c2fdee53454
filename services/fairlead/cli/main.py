"""`fairlead`: finds the command, runs it, and turns what it raises into one clear sentence and an exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from fairlead import errors
from fairlead.cli import exit_codes

COMMANDS = {
    "up": "Run the platform on this machine, in the foreground.",
    "down": "Stop the platform that runs in this folder.",
    "serve": "Serve one model folder over HTTP.",
    "check": "Check a model folder before shipping it.",
    "rehearse": "Play a rollout in virtual time, against made-up traffic and faults.",
    "deploy": "Add a model version to its route.",
    "release": "Make a version the route's target: the guarded rollout starts.",
    "wait": "Wait until a rollout has ended, and say how by the exit code.",
    "approve": "Let a rollout take the step that waits for a person.",
    "pause": "Freeze a rollout's step and weight.",
    "resume": "Let a paused rollout go on.",
    "retry": "Try a version again that was rolled back.",
    "rollback": "Go back to the version before, at once.",
    "status": "Show what each model serves and where its rollout stands.",
    "history": "Show the ledger: every table ever served.",
    "shadow": "Show how a shadow's answers compare with the live ones.",
    "explain": "Show which version a request would get, and why.",
    "control-plane": "",  # what `up` and the chart start; hidden
    "gateway-bootstrap": "",  # what the chart's gateway is started with; hidden
}
_HIDDEN = {"control-plane", "gateway-bootstrap"}


class LazyGroup(TyperGroup):
    """Imports a command's module only when it is the one invoked; the help page needs none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of COMMANDS."""
        return [name for name in COMMANDS if name not in _HIDDEN]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command: imported when it is about to run, a name and a sentence while the help page is made."""
        if cmd_name not in COMMANDS:
            return None
        app = typer.Typer(add_completion=False)
        if ctx.resilient_parsing or _asks_for_help(sys.argv[1:]):
            app.command(cmd_name, help=COMMANDS[cmd_name], hidden=cmd_name in _HIDDEN)(_placeholder)
        else:
            module = importlib.import_module(f"fairlead.cli.commands.{cmd_name.replace('-', '_')}")
            app.command(cmd_name, help=module.command.__doc__, hidden=cmd_name in _HIDDEN)(module.command)
        return typer.main.get_command(app)


def _placeholder() -> None: ...


def _asks_for_help(arguments: list[str]) -> bool:
    """True for the overall help page: `fairlead`, `fairlead --help`; not for `fairlead release --help`."""
    return not any(argument in COMMANDS for argument in arguments)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Guarded rollouts for ordinary models: serve, release, watch, roll back."""


def main() -> None:
    """The entry point. Exit codes are listed in `cli.exit_codes` and docs/cli.md."""
    try:
        app()
    except errors.FairleadError as error:
        _say(error)
        sys.exit(exit_codes.code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # `fairlead history iris | head`: the reader left, which is no error of ours.
        sys.stderr.close()
        sys.exit(0)


def _say(error: errors.FairleadError) -> None:
    print(f"fairlead: {error.message}", file=sys.stderr)
    if isinstance(error, errors.Invalid) and len(error.details) > 1:
        for detail in error.details:
            print(f"  {'.'.join(str(part) for part in detail.loc)}: {detail.msg}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)


if __name__ == "__main__":
    main()

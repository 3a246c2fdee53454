"""The `fairlead` program: finds and runs a command, and prints its error with a hint and an exit code."""

from __future__ import annotations

import difflib
import errno
import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.logs import shown

# Typer has its own copy of Click, or uses the installed one: the base class of an exception that it exports is right.
_UsageError: type[Any] = typer.BadParameter.__base__ or typer.BadParameter

COMMANDS = {
    "up": "Run the platform on this machine in the foreground.",
    "down": "Stop the platform that runs in this folder.",
    "serve": "Serve one model folder over HTTP, without a gateway.",
    "new": "Write a model folder from the file of a trained model.",
    "check": "Check that a model folder can be served.",
    "profile": "Build a model's reference profile for drift, or show it.",
    "calibrate": "Measure how much load an instance of a model answers in time.",
    "optimize": "Write a faster or smaller version that answers alike.",
    "replay": "Send recorded requests again, and compare the answers.",
    "recording": "Show which requests of models were recorded, or print them.",
    "diff": "Compare the types of two versions, as clients see them.",
    "rehearse": "Test a rollout with simulated traffic and faults.",
    "deploy": "Add a model version to its route.",
    "release": "Make a version the target, which starts its guarded rollout.",
    "wait": "Wait until a rollout ends; the exit code is the result. It is 0 only if the target serves.",
    "approve": "Approve the step at which a rollout waits.",
    "pause": "Pause a rollout: its step and weight stay as they are.",
    "resume": "Resume a paused rollout.",
    "retry": "Start a new attempt after a rollback.",
    "promote": "Serve everyone with the candidate now; no gate is asked.",
    "rollback": "Return to the previous version at once.",
    "remove": "Remove a model; its ledger stays.",
    "status": "Show whether each model serves, its rollout, and what helps.",
    "console": "Print the address of the web pages that show it all.",
    "history": "Show the ledger: every routing table that was served.",
    "logs": "Show what a model's instances and the gateway have logged.",
    "check-pool": "Show the nodes of a model's pods, and why one waits.",
    "doctor": "Show what is missing or misconfigured, and what to do.",
    "shadow": "Show how a shadow's responses compare with the live ones.",
    "drift": "Show whether live rows are as the reference, and which moved.",
    "predict": "Send rows or an image to a model through the gateway.",
    "clients": "Show what each client has used of its quota.",
    "explain": "Show which version a request would get, and why.",
    "control-plane": "",  # started by `up` and by the chart; hidden
    "gateway-bootstrap": "",  # for charts and tests; hidden
}
_HIDDEN = {"control-plane", "gateway-bootstrap"}


_RIGHTS = "Ask its owner for the right to it and to the folders above it, or run the command as a user who has it."
_OF_A_PATH = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENAMETOOLONG: "Check the path.",
    errno.ENOSPC: "Free some space, or name a place on another disk.",
    errno.EROFS: "Name a place that can be written.",
}
"""What to do where the system refuses a path, by the number of its error."""


class Command(TyperCommand):
    """A command whose numbers are numbers: NaN is inside every minimum and maximum, and would switch off a rule."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does. Raises Invalid for NaN."""
        rest = super().parse_args(ctx, args)
        for name, value in ctx.params.items():
            if any(isinstance(one, float) and one != one for one in (value if isinstance(value, list) else [value])):  # noqa: PLR0124
                raise errors.Invalid(f"--{name.replace('_', '-')}: NaN is not a number", hint="write a number")
        return rest


class LazyGroup(TyperGroup):
    """Imports a command's module only when that command runs. The overall help page imports none."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of COMMANDS."""
        return [name for name in COMMANDS if name not in _HIDDEN]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As Typer does. Raises Invalid for an unknown command; the hint names the most similar one."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            similar = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            suggestion = f"did you mean `fairlead {similar[0]}`? " if similar else ""
            hint = f"{suggestion}`fairlead --help` lists the commands"
            raise errors.Invalid(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command from its module; for the overall help page, only its name and help text."""
        if cmd_name not in COMMANDS:
            return None
        app = typer.Typer(add_completion=False)
        if ctx.resilient_parsing or _asks_for_help(sys.argv[1:]):
            app.command(cmd_name, help=COMMANDS[cmd_name], hidden=cmd_name in _HIDDEN)(_placeholder)
        else:
            module = importlib.import_module(f"fairlead.cli.commands.{cmd_name.replace('-', '_')}")
            app.command(cmd_name, cls=Command, help=_flowing(module.command.__doc__), hidden=cmd_name in _HIDDEN)(
                module.command
            )
        return typer.main.get_command(app)


def _flowing(text: str) -> str:
    """The paragraphs of a docstring without its line ends: the help page breaks lines where the terminal ends."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _placeholder() -> None: ...


def _asks_for_help(arguments: list[str]) -> bool:
    """True for the overall help page: `fairlead`, `fairlead --help`; not for `fairlead release --help`."""
    return not any(argument in COMMANDS for argument in arguments)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


def _print_version(asked: bool) -> None:
    if asked:
        for line in importlib.import_module("fairlead.cli.version").lines():
            print(line)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001 - the callback reads it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the versions of Fairlead and what it uses."
        ),
    ] = False,
) -> None:
    """Serve models behind one gateway, and roll out new versions step by step with automatic rollback."""


def main() -> None:
    """The entry point. `cli.exit_codes` and docs/cli.md list the exit codes."""
    try:
        _check_text(sys.argv[1:])
        sys.exit(app(prog_name="fairlead", standalone_mode=False))
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            _print_error(_invalid_usage(error))
        sys.exit(exit_codes.USAGE)
    except errors.FairleadError as error:
        _print_error(error)
        sys.exit(exit_codes.code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # `fairlead history iris | head`: the reader closed the pipe, which is not an error.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # Any command may be given a path below a folder that its user may not enter.
        if error.filename is None or error.errno not in _OF_A_PATH:
            raise
        _print_error(errors.Invalid(f"{error.filename}: {error.strerror}", hint=_OF_A_PATH[error.errno]))
        sys.exit(exit_codes.USAGE)


def _check_text(arguments: list[str]) -> None:
    """Raise Invalid for bytes that are no text: they could be neither sent nor printed."""
    for place, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise errors.Invalid(
                f"argument {place} is not text in UTF-8: {argument.encode(errors='backslashreplace').decode()}",
                hint="write it in UTF-8; check the encoding of your terminal",
            ) from None


def _invalid_usage(error: Any) -> errors.Invalid:
    """A wrong option or argument as our own error."""
    command = error.ctx.command_path if error.ctx else _named_command(sys.argv[1:])
    shows = f"`{command} --help` shows the arguments and options"
    unknown = getattr(error, "option_name", None)
    # Only NoSuchOption has `possibilities`. BadOptionUsage has an `option_name` too: an option without its value.
    if unknown is None or not hasattr(error, "possibilities"):
        return errors.Invalid(f"{error.format_message().strip().rstrip('.')}", hint=shows)
    similar = " or ".join(error.possibilities or ())
    return errors.Invalid(
        f"`{command}` has no option {unknown}", hint=f"did you mean {similar}? {shows}" if similar else shows
    )


def _named_command(arguments: list[str]) -> str:
    """The command as it was typed. The parser gives no context with an option that lacks its value."""
    return " ".join(["fairlead", *(name for name in arguments[:1] if name in COMMANDS)])


def _print_error(error: errors.FairleadError) -> None:
    print(shown(f"fairlead: {error.message}"), file=sys.stderr)
    if isinstance(error, errors.Invalid) and len(error.details) > 1:
        for detail in error.details:
            print(shown(f"  {'.'.join(str(part) for part in detail.loc)}: {detail.msg}"), file=sys.stderr)
    if error.hint:
        print(shown(f"  {error.hint}"), file=sys.stderr)


if __name__ == "__main__":
    main()

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from fairlead import __version__, errors
from fairlead.cli import exit_codes, main
from support import folders

ROOT = Path(__file__).parents[3]
VISIBLE = [name for name, text in main.COMMANDS.items() if text]


def fairlead(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fairlead.cli.main", *arguments], capture_output=True, text=True)


def test_the_help_page_lists_every_command_with_a_sentence() -> None:
    shown = fairlead("--help").stdout
    assert all(name in shown and main.COMMANDS[name][:30] in shown for name in VISIBLE)
    assert "..." not in shown.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("release", "A version that was rejected is refused (exit code 4), and a rollout in progress goes on."),
        ("wait", "held (paused, or waiting for approval), 12 timed out, 13 the model is down."),
    ],
)
def test_a_help_page_breaks_lines_only_where_the_terminal_ends(name: str, sentence: str) -> None:
    command = [sys.executable, "-m", "fairlead.cli.main", name, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}).stdout
    assert any(sentence in line for line in shown.splitlines())


@pytest.mark.parametrize("arguments", [["explain", "iris", "--key"], ["predict", "iris", "--user"], ["serve"]])
def test_an_argument_that_is_no_text_is_refused_with_its_place(arguments: list[str]) -> None:
    command: list[str | bytes] = [sys.executable, "-m", "fairlead.cli.main", *arguments, b"\xff\xfe"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == exit_codes.code_of(errors.Invalid(""))
    assert f"argument {len(arguments) + 1} is not text in UTF-8: \\udcff\\udcfe" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("option", ["--seconds", "--max-slower", "--tolerance"])
def test_a_number_that_is_none_is_refused(option: str) -> None:
    answer = fairlead("optimize", "folder", "--onnx", "--to", "other", option, "nan")
    assert answer.returncode == exit_codes.code_of(errors.Invalid(""))
    assert f"{option}: NaN is not a number" in answer.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("profile", "build", "m", "--data", "PATH"),
        ("profile", "build", "m", "--from", "PATH"),
        ("replay", "m", "--from", "PATH"),
        ("recording", "list", "PATH"),
        ("drift", "iris", "--state", "PATH"),
        ("logs", "iris", "--state", "PATH"),
    ],
    ids=" ".join,
)
def test_a_path_that_the_system_refuses_is_an_error_and_no_traceback(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = "a" * 300  # too long for a name. Root may enter every folder, so this is the refusal that a test can cause
    monkeypatch.chdir(tmp_path)
    folders.make(tmp_path / "m")
    monkeypatch.setattr(sys, "argv", ["fairlead", *(path if one == "PATH" else one for one in arguments)])
    with pytest.raises(SystemExit) as ended:
        main.main()
    said, hint = [line for line in capsys.readouterr().err.splitlines() if line]
    assert ended.value.code == exit_codes.USAGE
    assert said.startswith(f"fairlead: {path}")
    assert (said.endswith(": File name too long"), hint) == (True, "  Check the path.")


def test_the_control_planes_command_is_hidden() -> None:
    assert "control-plane" not in fairlead("--help").stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_a_module_with_a_described_function(name: str) -> None:
    module = importlib.import_module(f"fairlead.cli.commands.{name.replace('-', '_')}")
    assert module.command.__doc__


@pytest.mark.parametrize("name", VISIBLE)
def test_every_command_has_a_help_page(name: str) -> None:
    answer = fairlead(name, "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"{name} [OPTIONS]" in answer.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_option_is_written_in_lower_case(name: str) -> None:
    """Typer takes the name of an option from its metavar where both are the same word."""
    app = typer.Typer(add_completion=False)
    app.command(name)(importlib.import_module(f"fairlead.cli.commands.{name.replace('-', '_')}").command)
    options = [option for param in typer.main.get_command(app).params for option in param.opts]
    assert [option for option in options if option.startswith("--") and option != option.lower()] == []


def test_an_unknown_command_is_a_usage_error_without_a_traceback() -> None:
    answer = fairlead("rolback", "iris")
    assert answer.returncode == exit_codes.USAGE
    assert "there is no command 'rolback'" in answer.stderr
    assert "did you mean `fairlead rollback`?" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["history", "iris", "--evidense"], "did you mean --evidence?"),
        (["up", "--contrl-port", "9"], "did you mean --control-port"),
        (["rollback", "iris", "--reson", "x"], "--reason"),
        (["history"], "Missing argument 'MODEL'"),
        (["up", "--port", "x"], "Invalid value for '--port'"),
        (["rollback", "iris", "--to"], "Option '--to' requires an argument"),
        (["wait", "iris", "--timeout"], "Option '--timeout' requires an argument"),
        (["release", "iris", "2.0.0", "--reason"], "Option '--reason' requires an argument"),
        (["pause", "iris", "--for"], "Option '--for' requires an argument"),
        (["up", "--port"], "Option '--port' requires an argument"),
        (["status", "--json=1"], "Option '--json' does not take a value"),
    ],
)
def test_a_wrong_option_or_argument_is_one_sentence_and_a_line_that_helps(arguments: list[str], said: str) -> None:
    answer = fairlead(*arguments)
    assert answer.returncode == exit_codes.USAGE
    first, second = answer.stderr.splitlines()
    assert first.startswith("fairlead: ")
    assert said in first + second
    assert f"`fairlead {arguments[0]} --help` shows the arguments and options" in second


@pytest.mark.parametrize("arguments", [["pause", "iris"], ["release", "iris", "2.0.0"], ["rollback", "iris"]])
def test_a_reason_that_is_too_long_is_a_usage_error(arguments: list[str]) -> None:
    answer = fairlead(*arguments, "--reason", "x" * 1001)
    assert answer.returncode == exit_codes.USAGE
    assert "--reason: the reason has 1,001 characters; at most 1,000 are stored" in answer.stderr


def test_the_version_option_prints_the_versions_of_all_parts() -> None:
    answer = fairlead("--version")
    assert answer.returncode == exit_codes.OK, answer.stderr
    parts = dict(line.split(" ", 1) for line in answer.stdout.splitlines())
    assert parts["fairlead"] == __version__
    assert re.match(r"3\.1[1-3]\.\d+", parts["Python"])
    assert re.match(r"\d+\.\d+\.\d+", parts["Envoy"])
    assert re.match(r"client \d+", parts["Kubernetes"])


def test_without_arguments_the_help_page_is_shown() -> None:
    answer = fairlead()
    assert answer.returncode == exit_codes.USAGE
    assert answer.stderr.startswith("Usage: fairlead [OPTIONS] COMMAND")


@pytest.mark.parametrize("verb", ["rollback", "promote", "pause"])
def test_an_action_imports_only_what_it_needs(tmp_path: Path, verb: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "fairlead.cli.main", verb, "iris"]
    done = subprocess.run([*command, "--state", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == exit_codes.UNAVAILABLE  # the command ran up to connecting to the action socket
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "fairlead.cli.action_client" in loaded
    assert not loaded & {"pydantic", "sqlite3", "rich", "fastapi", "numpy", "kubernetes", "torch", "httpx", "asyncio"}


def test_no_command_imports_the_kubernetes_client_before_it_addresses_a_cluster() -> None:
    modules = ", ".join(f"fairlead.cli.commands.{name.replace('-', '_')}" for name in main.COMMANDS)
    code = f"import sys, {modules}; sys.exit(str({{'kubernetes', 'urllib3'}} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("command", [["rollback", "iris"], ["status"], ["control-plane", "--cluster"]])
def test_a_cluster_without_the_client_installed_says_what_to_install(command: list[str]) -> None:
    where = ["--namespace", "models"] if command[0] != "control-plane" else []
    code = f"import sys; sys.modules['kubernetes'] = None; sys.argv[1:] = {command + where}\n"
    facts = {name: "x" for name in ("FAIRLEAD_NAMESPACE", "FAIRLEAD_RELEASE", "POD_NAME", "POD_IP")}
    done = subprocess.run(
        [sys.executable, "-c", code + "from fairlead.cli import main; main.main()"],
        capture_output=True,
        text=True,
        env={**os.environ, **facts},
    )
    assert done.returncode == exit_codes.UNAVAILABLE, done.stderr
    assert "pip install -e '.[control]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_without_a_platform_says_how_to_start_one(tmp_path: Path) -> None:
    answer = fairlead("status", "--state", str(tmp_path / "none"))
    assert answer.returncode == exit_codes.UNAVAILABLE
    assert "fairlead up" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ArtifactRejected("x"), exit_codes.USAGE),
        (errors.NotFound("x"), exit_codes.NOT_FOUND),
        (errors.Refused("x"), exit_codes.REFUSED),
        (errors.Conflict("x"), exit_codes.CONFLICT),
        (errors.NotReady("x"), exit_codes.UNAVAILABLE),
        (errors.FairleadError("x"), exit_codes.FAILED),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: errors.FairleadError, code: int) -> None:
    assert exit_codes.code_of(error) == code


def test_the_page_lists_the_exit_codes_that_the_code_has() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    listed = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)}
    assert listed == exit_codes.MEANING


def test_the_page_lists_the_commands_that_the_code_has() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    listed = dict(re.findall(r"^\| `fairlead ([a-z-]+)[^|]*` \| (.*) \|$", page, re.MULTILINE))
    assert listed == {name: main.COMMANDS[name] for name in VISIBLE}

"""Tests of the page runner itself, on small pages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docs import blocks, cluster
from docs.matching import matches
from docs.page import Command, Page, PageError, parse_page
from docs.session import PageFailed, Session
from docs.working_copy import WorkingCopy


@pytest.fixture
def working_copy(tmp_path: Path) -> WorkingCopy:
    root = tmp_path / "root"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / "README.md").write_text("hello\n")
    (root / "platform.yaml").write_text("gateway: {port: 8080}\ncontrol: {port: 8081}\n")
    (root / ".gitignore").write_text(".venv/\nsecret\n")
    (root / "secret").write_text("ignored\n")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return WorkingCopy(root, tmp_path / "copy")


def page(text: str) -> Page:
    return parse_page("page.md", text)


def run(working_copy: WorkingCopy, text: str, *, command_timeout_s: float = 20) -> None:
    with Session(working_copy, working_copy.folder.parent / "notes", command_timeout_s=command_timeout_s) as session:
        session.run_page(page(text))


# parsing


def test_commands_carry_their_output_their_exit_code_and_their_line() -> None:
    (block,) = page("intro\n\n```console\n$ first\nout 1\n\nout 2\n$ second \\\n> --more\n[exit 3]\n```\n").console()
    first, second = block.commands()
    assert (first.line, first.text, first.expected, first.exit_code) == (4, "first", ("out 1", "", "out 2"), 0)
    assert (second.text, second.expected, second.exit_code) == ("second \\\n--more", (), 3)


def test_blocks_inside_lists_and_longer_fences_are_read() -> None:
    blocks_ = page("- a\n\n  ```json\n  {}\n  ```\n\n````text\n```\ninner\n```\n````\n").blocks
    assert [(block.language, block.text) for block in blocks_] == [("json", "{}\n"), ("text", "```\ninner\n```\n")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ true\n", "never closed"),
        ("```console skip\n$ true\n```\n", "skip needs a reason"),
        ('```console later="yes"\n$ true\n```\n', "unknown marker later"),
    ],
)
def test_a_page_that_cannot_be_read_says_where_and_why(text: str, complaint: str) -> None:
    with pytest.raises(PageError, match=f"page.md:1: .*{complaint}"):
        page(text)


# blocks that are not commands


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```bash\nmake up\n```\n", "do not run blocks of bash"),
        ("```\nmake up\n```\n", "do not run blocks of no language"),
        ("```console\nmake up\n```\n", r"begins with a `\$ ` line"),
        ("```console\n```\n", r"without a `\$ ` line"),
        ("```python\ndef broken(:\n```\n", "invalid syntax"),
        ("```python\nfrom fairlead import Modle\n```\n", "Modle"),
        ("```python\nclass A(fairlead.Modle): ...\n```\n", "Modle"),
        ("```yaml\na: [\n```\n", "page.md:1"),
        ("```yaml\n# platform.yaml\ngatway: {port: 8080}\n```\n", "gatway"),
        ("```yaml\n# fairlead.yaml of iris\nname: iris\n```\n", "version"),
        ("```json\n{'a': 1}\n```\n", "page.md:1"),
        ("```cobol\nSTOP RUN.\n```\n", "no check for blocks of 'cobol'"),
    ],
)
def test_an_invalid_block_is_an_error(block: str, complaint: str) -> None:
    (found,) = page(block).blocks
    with pytest.raises(PageError, match=complaint):
        blocks.check(found)


@pytest.mark.parametrize(
    "block",
    [
        "```python\nimport fairlead\nclass A(fairlead.Model): ...\n```\n",
        "```yaml\n# platform.yaml\ngateway: {port: 9090}\n```\n",
        "```yaml\nanything: goes\n```\n",
        '```json\n{"a": 1}\n```\n',
        "```text\n+--+\n```\n",
    ],
)
def test_a_valid_block_is_accepted(block: str) -> None:
    (found,) = page(block).blocks
    blocks.check(found)


# comparing output


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["a  b"], "a b  \n"),
        (["..."], ""),
        (["a", "...", "z"], "a\nz"),
        (["a", "...", "z"], "a\nb\nz\nz"),
        (["up after <seconds> s"], "up after 4.2 s"),
        (["revision iris.<number> by <id>"], "revision iris.12 by ci-1"),
        (["sha256 <hash>"], "sha256 0a1b2c3d4e"),
        (["loaded in 2.13 s, asked in 0.5ms"], "loaded in 11.9 s, asked in 12.75ms"),
        (["sha256 2826b25bf43d..."], "sha256 0826b25bf431..."),
        (["since 2026-01-02T03:04:05Z"], "since 2027-11-12T13:14:15.5+00:00"),
        (["at <time>"], "at 2026-01-02T03:04:05.678Z"),
        (["accepted, revision iris.6. late"], "accepted, revision iris.17. late"),
        (['{"a": ..., "b": 1}'], '{"a": [1, 2], "b": 1}'),
        (["", "a", ""], "\na\n"),
        ([], "whatever"),
    ],
)
def test_output_matches_except_for_values_that_may_change(expected: list[str], actual: str) -> None:
    assert matches([line for line in expected if line or len(expected) == 1], actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["a"], "a\nb"),
        (["a", "b"], "a"),
        (["up after <seconds> s"], "up after long s"),
        (["a.c"], "abc"),
        (["every 30 s"], "every 40 s"),
        (["version 1.0.0"], "version 1.0.1"),
        (["revision iris.6"], "revision moons.6.1"),
        (["deadbeef"], "deadbeee"),
        (["a", "...", "z"], "a\nz\nb"),
        (["<hash>"], "xyz"),
    ],
)
def test_other_output_does_not_match(expected: list[str], actual: str) -> None:
    assert not matches(expected, actual)


# running commands


def test_commands_run_in_order_in_one_shell(working_copy: WorkingCopy) -> None:
    first = "```console\n$ cat README.md\nhello\n$ mkdir deep && cd deep && X=1\n```\n"
    second = "```console\n$ echo $X; ls ..\n1\n...\nREADME.md\n...\n```\n"
    run(working_copy, first + second)


def test_files_that_git_ignores_are_not_copied(working_copy: WorkingCopy) -> None:
    run(working_copy, "```console\n$ test ! -e secret\n```\n")


def test_published_ports_are_replaced_and_shown_again(working_copy: WorkingCopy) -> None:
    run(working_copy, "```console\n$ cat platform.yaml\ngateway: {port: 8080}\ncontrol: {port: 8081}\n```\n")
    assert "8080" not in (working_copy.folder / "platform.yaml").read_text()
    assert "8080" not in working_copy.to_here("curl http://127.0.0.1:8080/models")
    assert working_copy.to_here("18080 80801") == "18080 80801"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ false\n```\n", r"page.md:2: exit code 1, not 0: false"),
        ("```console\n$ true\n[exit 2]\n```\n", "exit code 0, not 2"),
        ("```console\n$ echo one\ntwo\n```\n", r"page.md:2: echo one(.|\n)*-two\n\+one"),
        ("```console\n$ 'unbalanced\n```\n", "exit code"),
        ("```console\n$ exit 4\n```\n", "the shell ended during: exit 4"),
        ("```console background\n$ echo started; exit 1\nstopped\n```\n", "ended with 1"),
    ],
)
def test_a_command_that_does_something_else_fails_with_its_line(
    working_copy: WorkingCopy, text: str, complaint: str
) -> None:
    with pytest.raises(PageFailed, match=complaint):
        run(working_copy, text)


def test_a_command_that_does_not_end_fails(working_copy: WorkingCopy) -> None:
    with pytest.raises(PageFailed, match=r"still runs after 0.2 s: sleep 60"):
        run(working_copy, "```console\n$ sleep 60\n```\n", command_timeout_s=0.2)


def test_a_skipped_block_is_not_run(working_copy: WorkingCopy) -> None:
    run(working_copy, '```console skip="needs a cluster"\n$ helm install fairlead charts/platform\n```\n')


def test_a_background_command_runs_until_the_end_of_the_page_and_gets_ctrl_c_there(working_copy: WorkingCopy) -> None:
    program = "trap 'echo drained > ended; exit 0' INT; echo up after 1.5 s; while true; do sleep 0.05; done"
    run(
        working_copy,
        f"```console background\n$ {program}\nup after <seconds> s\n```\n```console\n$ test ! -e ended\n```\n",
    )
    assert (working_copy.folder / "ended").read_text() == "drained\n"


# blocks that need a cluster


def test_a_cluster_block_is_run_only_if_there_is_a_cluster(working_copy: WorkingCopy, tmp_path: Path) -> None:
    text = "```console cluster\n$ touch ran\n```\n"
    run(working_copy, text)
    assert not (working_copy.folder / "ran").exists()
    with Session(working_copy, tmp_path / "notes", command_timeout_s=20) as session:
        session.run_page(page(text), cluster=True)
    assert (working_copy.folder / "ran").exists()


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("make test", "a cluster block has only"),
        ("helm install iris charts/modle --values iris.yaml", "modle"),
        ("helm install iris charts/model --values iris.yaml --set tarrget=1.0.0", "tarrget"),
        ("helm install iris charts/model --values other.yaml", "other.yaml"),
        ("helm install iris oci://example.com/model", "names no chart"),
        ("helm frobnicate", "there is no check for"),
        ("kubectl apply --filename other.yaml", "there is no file other.yaml"),
        ("kubectl frobnicate", "there is no check for"),
        ("fairlead rellease iris", "a cluster block has only"),
    ],
)
def test_a_cluster_command_that_cannot_work_is_an_error(command: str, complaint: str, tmp_path: Path) -> None:
    values = '```yaml\n# iris.yaml\ntarget: "1.0.0"\nversions: {"1.0.0": {}}\n```\n'
    cluster.write_files(page(values), tmp_path)
    with pytest.raises(PageError, match=complaint):
        cluster.check(Command(1, command), "page.md:1", tmp_path)


def test_a_valid_cluster_command_is_accepted(tmp_path: Path) -> None:
    values = '```yaml\n# iris.yaml\ntarget: "1.0.0"\nversions: {"1.0.0": {}}\n```\n'
    cluster.write_files(page(values), tmp_path)
    text = "helm upgrade iris charts/model --namespace models --values iris.yaml --set target=1.0.0 --wait"
    cluster.check(Command(1, text), "page.md:1", tmp_path)

"""Usage: python -m second_try LOG... -- PYTEST_COMMAND...   (with ci/ on PYTHONPATH)

Reads the report logs of runs that have ended: LOG, and LOG.exit with the exit code. Runs each failed test once more,
alone, with PYTEST_COMMAND, and prints a table of these tests with both durations.

Exit code 0: every test has passed, at the latest at its second try.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from second_try import logs, verdict
from second_try.logs import Outcome
from second_try.verdict import Tried

FLAKY = Path("tests/flaky.md")


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    if "--" not in arguments:
        print(__doc__, file=sys.stderr)
        return 2
    split = arguments.index("--")
    paths, command = arguments[:split], list(arguments[split + 1 :])
    console = Console(stderr=True, width=200)  # a test's id is copied from the table: it must not be folded
    try:
        known = verdict.listed(FLAKY.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        console.print(f"second try: none. {error}", markup=False, highlight=False)
        return 1
    wanted = verdict.plan([logs.read(Path(path)) for path in paths], known)
    for reason in wanted.refused:
        console.print(f"second try: none. {reason}", markup=False, highlight=False)
    if wanted.refused:
        return 1
    if not wanted.again:
        return 0
    results = [result for group in wanted.again for result in _once_more(group, command)]
    _show(results, console)
    return 0 if all(result.passed for result in results) else 1


def _once_more(group: Sequence[Outcome], command: Sequence[str]) -> list[Tried]:
    names = [first.test for first in group]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "report.jsonl"
        print(f"second try, alone: {' '.join(names)}", file=sys.stderr, flush=True)
        done = subprocess.run([*command, f"--report-log={log}", *names], check=False)
        Path(f"{log}.exit").write_text(str(done.returncode))
        found = logs.read(log)
    return [verdict.tried(first, found) for first in group]


def _show(results: Sequence[Tried], console: Console) -> None:
    table = Table(title="Tests that failed at their first try", title_justify="left", show_edge=False)
    table.add_column("test", overflow="fold")
    for column in ("first try", "second try, alone", ""):
        table.add_column(column, justify="right")
    for result in results:
        second = f"{result.second.seconds:.1f} s" if result.second else "not run"
        how = "passed" if result.passed else result.problem or "failed again"
        # As Text: in a plain str, rich takes the brackets of a parametrised test for markup.
        table.add_row(Text(result.first.test), f"{result.first.seconds:.1f} s", second, Text(how))
    console.print(table)
    if any(result.passed for result in results):
        console.print("A test that passes only at its second try is a defect. Mend it, or list it in tests/flaky.md:")
        console.print("a listed test gets no second try.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

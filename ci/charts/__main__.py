"""Writes the generated files of charts/: values.schema.json, files/values.json, the README's tables, bootstrap.json.

`--check` writes nothing: it exits with 1 if a file is not up to date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bootstrap_file
import values_checks
import values_page
import values_schema
import values_tree

CHARTS = Path(__file__).resolve().parents[2] / "charts"
CHARTS_WITH_VALUES = ("model", "platform")


def outputs(chart: Path) -> dict[Path, str]:
    """The generated files of a chart, with their content."""
    values = chart / "values.yaml"
    keys = values_tree.read(values.read_text(), f"{chart.name}/values.yaml")
    schema = values_schema.build(chart.name, keys)
    readme = chart / "README.md"
    written = {
        chart / "values.schema.json": _json(values_checks.without_patterns(schema)),
        chart / "files" / "values.json": _json(values_checks.build(schema, keys)),
        readme: values_page.fill(readme.read_text(), keys),
    }
    if chart.name == "platform":
        written[chart / "files" / "bootstrap.json"] = bootstrap_file.text()
        written[chart / "files" / "control-plane-tls.json"] = bootstrap_file.secure_text()
        written[chart / "files" / "gateway-token.json"] = bootstrap_file.token_text()
        written |= {chart / "files" / name: text for name, text in bootstrap_file.tls_texts().items()}
    return written


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check all files. Returns 1 if `--check` finds a file that is not up to date, else 0."""
    stale = []
    for name in CHARTS_WITH_VALUES:
        for path, text in outputs(CHARTS / name).items():
            if path.exists() and path.read_text() == text:
                continue
            stale.append(path.relative_to(CHARTS.parent))
            if "--check" not in arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    if stale and "--check" in arguments:
        print(f"ci/charts: files are not up to date: {', '.join(map(str, stale))}; run 'make charts'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except values_tree.ValuesError as error:
        print(f"ci/charts: {error}", file=sys.stderr)
        sys.exit(1)

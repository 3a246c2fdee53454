"""`python -m monitoring` writes everything that is generated here. `--check` only compares, and exits with 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from monitoring import boards, loop_picture, mixin, notifying, rule_files, telemetry_page
from monitoring.panels import to_json
from monitoring.settings import DEFAULT

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"


def outputs() -> dict[Path, str]:
    """Every generated file, with its content."""
    every = boards.dashboards(DEFAULT)
    return {
        HERE / "rules" / "fairlead-recording.yaml": rule_files.text(rule_files.recording_rules(DEFAULT)),
        HERE / "rules" / "fairlead-alerts.yaml": rule_files.text(rule_files.alerting_rules(DEFAULT)),
        HERE / "alertmanager" / "fairlead.yaml": notifying.text(),
        **{HERE / "dashboards" / f"{one.uid}.json": json.dumps(to_json(one, every), indent=1) + "\n" for one in every},
        HERE / "mixin.libsonnet": mixin.text(DEFAULT, [one.uid for one in every]),
        DOCS / "telemetry.md": telemetry_page.text(),
        DOCS / "autoscaling.svg": loop_picture.draw(DEFAULT),
    }


def main(arguments: list[str]) -> int:
    """Write or check all files. Returns 1 if `--check` finds one that is not up to date, else 0."""
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(HERE.parent)} is not up to date; run `python -m monitoring`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(outputs()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

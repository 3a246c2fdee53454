"""The process of `own_process`: prints the names of the checks, then each finding as a line of JSON."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import sys
from pathlib import Path

from fairlead.serving.check.checks import CHECKS, findings


def main() -> None:
    """Check the folder that the first argument names."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the parent to report
    logging.getLogger("fairlead").addHandler(logging.NullHandler())  # the findings have what the service would log
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # the model's own output, also that of its libraries, must not mix with the findings
        print(json.dumps([name for name, _, _ in CHECKS]), file=out, flush=True)
        for finding in findings(Path(sys.argv[1])):
            print(json.dumps(dataclasses.asdict(finding)), file=out, flush=True)


if __name__ == "__main__":
    main()

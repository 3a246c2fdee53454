"""The process of `own_process`: prints the names of the checks, then each finding as a line of JSON.

Before and after each made-up row it prints what is asked, so that its parent can end a call that does not return.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from fairlead.serving.check.checks import CHECKS, findings
from fairlead.serving.formats.made_up_rows import MadeUp


def main() -> None:
    """Check the folder that the first argument names. The second, if there is one, is why no made-up rows are asked."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the parent to report
    logging.getLogger("fairlead").addHandler(logging.NullHandler())  # the findings have what the service would log
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # the model's own output, also that of its libraries, must not mix with the findings

        def say(document: Any) -> None:
            print(json.dumps(document), file=out, flush=True)

        say([name for name, _, _ in CHECKS])
        made_up = MadeUp("".join(sys.argv[2:]), lambda asked: say(asked))
        for finding in findings(Path(sys.argv[1]), made_up):
            say(dataclasses.asdict(finding))


if __name__ == "__main__":
    main()

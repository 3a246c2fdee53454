"""`fairlead down`."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from fairlead import errors
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.cli.output import say
from fairlead.local.state import StateFolder
from fairlead.local.supervisor import stop_orphans

STOP_TIMEOUT_S = 60.0


def command(state: StateOption = DEFAULT_STATE) -> None:
    """Stop the platform that runs in this folder, and processes that a killed platform left behind."""
    folder = StateFolder(state)
    run = folder.last_run()
    if run is not None and folder.is_running():
        os.kill(run.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while folder.is_running():
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"the platform (process {run.pid}) did not stop within {STOP_TIMEOUT_S:.0f} s",
                    hint=f"end it with `kill -9 {run.pid}`, then run `fairlead down` to stop what is left",
                )
            time.sleep(0.05)
        say(f"stopped the platform in {folder.root}")
        return
    stopped = asyncio.run(stop_orphans(folder))
    left = f"; stopped processes that an earlier one left: {', '.join(stopped)}" if stopped else ""
    say(f"no platform runs in {folder.root}{left}")

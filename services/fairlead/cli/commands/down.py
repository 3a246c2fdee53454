"""`fairlead down`."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from fairlead import errors
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.local.state import StateFolder
from fairlead.local.supervisor import stop_orphans

WAIT_S = 60.0


def command(state: StateOption = DEFAULT_STATE) -> None:
    """Stop the platform that runs in this folder, and whatever a killed one left behind."""
    folder = StateFolder(state)
    run = folder.last_run()
    if run is not None and folder.is_running():
        os.kill(run.pid, signal.SIGTERM)
        deadline = time.monotonic() + WAIT_S
        while folder.is_running():
            if time.monotonic() > deadline:
                raise errors.Unavailable(f"process {run.pid} did not stop within {WAIT_S:.0f} s")
            time.sleep(0.05)
        print(f"stopped the platform in {folder.root}")
        return
    stopped = asyncio.run(stop_orphans(folder))
    print(f"nothing runs in {folder.root}" + (f"; stopped what was left: {', '.join(stopped)}" if stopped else ""))

"""What `helm test` does: every address of the command line answers 200 before the deadline."""

import os
import sys
import time
import urllib.error
import urllib.request

DEADLINE = time.monotonic() + float(os.environ["FAIRLEAD_TIMEOUT_S"])


def ask(url: str) -> None:
    """Until it answers 200, or the deadline."""
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return print(f"{url}: {answer.status}", flush=True)
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError as error:
            why = str(error)
        if time.monotonic() > DEADLINE:
            sys.exit(f"{url}: {why}")
        time.sleep(1)


for address in sys.argv[1:]:
    ask(address)

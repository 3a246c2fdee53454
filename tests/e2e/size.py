"""How much the stories ask for: what CI has time for, or all of it. And the claim that most of them make."""

from __future__ import annotations

import os

from support.load.summary import Summary

FULL = os.environ.get("FAIRLEAD_E2E_SIZE") == "full"


def no_failed_requests(what: str, summary: Summary) -> tuple[str, str, str, bool]:
    """A line of `proof.Findings.claim`."""
    return what, "0", f"{summary.failures or 0} of {summary.sent}", not summary.failed

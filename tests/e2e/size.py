"""The size of the end-to-end tests, which FAIRLEAD_E2E_SIZE=full sets to full, and the claim of most of them."""

from __future__ import annotations

import os

from support.load.summary import Summary

FULL = os.environ.get("FAIRLEAD_E2E_SIZE") == "full"


def no_failed_requests(what: str, summary: Summary) -> tuple[str, str, str, bool]:
    """The arguments of `proof.Findings.claim` for a load without failed requests."""
    return what, "0", f"{summary.failures or 0} of {summary.sent}", not summary.failed

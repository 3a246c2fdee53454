"""What happens to a test where something that it needs is missing: it is skipped, and in CI it fails.

A test that CI skips cannot fail. tests/ci/test_skips.py lists the few tests that decide differently, with the reasons.
"""

from __future__ import annotations

import os

import pytest


def skip_or_fail(reason: str, required_by: str = "CI") -> BaseException:
    """The exception to raise, which skips the test for this reason, or fails it where the environment requires it.

    The environment does so if the variable `required_by` is set and not 0.
    """
    if os.environ.get(required_by, "0") not in ("", "0"):
        return pytest.fail.Exception(reason)
    return pytest.skip.Exception(reason)

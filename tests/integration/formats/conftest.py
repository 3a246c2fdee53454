"""Makes the libraries of the formats importable, in this process and in the services of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import environments


@pytest.fixture(scope="session", autouse=True)
def libraries() -> Path:
    """The packages of requirements/formats.txt."""
    found = environments.packages("formats")
    assert found is not None  # else making it had failed
    environments.add(found)
    return found

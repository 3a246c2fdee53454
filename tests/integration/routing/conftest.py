"""Fixtures for the tests of gateways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.routing.backends import Backends, running_backends


@pytest.fixture
def backends() -> Iterator[Backends]:
    """Services that answer and record requests; none is started yet."""
    with running_backends() as running:
        yield running

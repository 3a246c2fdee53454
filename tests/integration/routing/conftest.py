"""What the tests of gateways share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.routing.backends import Backends, running_backends


@pytest.fixture
def backends() -> Iterator[Backends]:
    """Services that answer and count; none is started yet."""
    with running_backends() as running:
        yield running

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.contracts.parsing import parse
from fairlead.contracts.platform import Platform


@pytest.mark.parametrize("header", ["x-request-id", "x-shadow-of", "x-envoy-user"])
def test_a_header_that_the_gateway_sets_cannot_name_a_user(header: str) -> None:
    """Each request would get another id, so that users would change between versions in the middle of a rollout."""
    model = {"target": "1", "versions": {"1": {"source": "a"}}, "sticky": {"header": header}}
    with pytest.raises(errors.Invalid, match=f"models.iris: sticky.header: the gateway sets {header} itself"):
        parse(Platform, {"models": {"iris": model}}, "platform.yaml")


def test_a_version_may_be_mirrored_to_only_once() -> None:
    mirrors = [{"version": "1", "share": 100}, {"version": "1", "share": 200}]
    model = {"target": "1", "versions": {"1": {"source": "a"}}, "mirrors": mirrors}
    with pytest.raises(errors.Invalid, match="models.iris: mirrors: '1' is there twice; write it once"):
        parse(Platform, {"models": {"iris": model}}, "platform.yaml")

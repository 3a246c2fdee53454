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


def test_a_version_may_be_cold_and_no_other_minimum_is_possible() -> None:
    def with_minimum(value: object) -> Platform:
        model = {"target": "1", "versions": {"1": {"source": "a", "minInstances": value}}}
        return parse(Platform, {"models": {"iris": model}}, "platform.yaml")

    assert [with_minimum(value).models["iris"].versions["1"].min_instances for value in (0, None)] == [0, None]
    with pytest.raises(errors.Invalid, match="minInstances: 2 is not possible, only 0: the version may stop while"):
        with_minimum(2)


def test_a_version_is_not_cold_within_a_second() -> None:
    model = {"target": "1", "versions": {"1": {"source": "a"}}, "scaleToZero": {"after": "500ms"}}
    with pytest.raises(errors.Invalid, match="models.iris.scaleToZero.after: .* greater than or equal to 1"):
        parse(Platform, {"models": {"iris": model}}, "platform.yaml")


def test_limits_for_cold_versions_need_a_version_that_may_be_cold() -> None:
    model = {"target": "1", "versions": {"1": {"source": "a"}}, "scaleToZero": {"after": "5m"}}
    with pytest.raises(errors.Invalid, match="models.iris: scaleToZero: it changes nothing, .* write minInstances: 0"):
        parse(Platform, {"models": {"iris": model}}, "platform.yaml")

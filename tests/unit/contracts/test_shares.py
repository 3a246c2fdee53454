"""Weights and shares: a person may write percent, everything that is stored has 1/10,000."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.parsing import parse
from fairlead.contracts.route import TOTAL_WEIGHT, MirrorSpec, ShadowSpec, Step


@given(st.integers(1, TOTAL_WEIGHT))
def test_every_share_can_be_written_in_percent_and_is_the_same_number(share: int) -> None:
    percent = f"{share // 100}.{share % 100:02}%"

    assert Step.model_validate({"weight": percent}).weight == share


@pytest.mark.parametrize("written", ["10%", "10.0%", "10 %", 1000])
def test_a_share_is_stored_as_a_number(written: object) -> None:
    assert Step.model_validate({"weight": written}).to_json()["weight"] == 1000


def test_mirrors_and_shadows_take_percent_too() -> None:
    assert MirrorSpec.model_validate({"version": "1.0.0", "share": "0.01%"}).share == 1
    assert ShadowSpec.model_validate({"share": "100%"}).share == TOTAL_WEIGHT


@pytest.mark.parametrize("written", ["10", "%", "-1%", "0.001%", "1e1%", "10%%", ""])
def test_another_text_is_refused_with_both_forms(written: str) -> None:
    with pytest.raises(errors.Invalid, match=r"is not a share; write a percentage, such as 10% or 2.5%, or 1/10,000"):
        parse(Step, {"weight": written}, "step")


@pytest.mark.parametrize("written", ["0%", "100.01%", "999%"])
def test_a_percentage_out_of_range_is_refused_like_a_number(written: str) -> None:
    with pytest.raises(errors.Invalid, match="weight: Input should be"):
        parse(Step, {"weight": written}, "step")

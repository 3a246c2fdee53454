"""Errors of documents that people write: a misspelt field or value says what was probably meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse, parse_yaml
from fairlead.contracts.platform import GatewaySettings, LocalModel, Platform
from fairlead.contracts.route import RouteSpec
from fairlead.contracts.scenario import Scenario
from fairlead.serving.settings import Settings

MODEL = "models: {iris: {target: '1', versions: {'1': {source: x}}, "


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Platform, "gatway: {}", "gatway: unknown field; did you mean 'gateway'?"),
        (Platform, "gateway: {prot: 1}", "gateway.prot: unknown field; did you mean 'port'?"),
        (Platform, "models: {iris: {target: '1', verions: {}}}", "models.iris.verions: .*'versions'?"),
        (Platform, MODEL + "strategy: {min_request: 3}}}", "strategy.min_request: .*did you mean 'minRequests'?"),
        (Platform, MODEL + "strategy: {steps: [{wieght: 3}]}}}", r"strategy.steps.0.wieght: .*did you mean 'weight'?"),
        (Platform, "models: {iris: {target: '1', versions: {'1': {sorce: x}}}}", "versions.1.sorce: .*'source'?"),
        (Platform, MODEL + "sticky: {heder: x}}}", "sticky.heder: .*did you mean 'header'?"),
        (
            Platform,
            "gateway: {qqq: 1}",
            "gateway.qqq: unknown field; known are port, maxRequestBytes, hosts, corsOrigins",
        ),
        (Platform, MODEL + "strategy: {preset: strickt}}}", "Input should be .*; did you mean 'strict'?"),
        (Manifest, "naem: iris", "naem: unknown field; did you mean 'name'?"),
        (Manifest, "inputs: [{nmae: x, datatype: FP64}]", "inputs.0.nmae: unknown field; did you mean 'name'?"),
        (Scenario, "durration: 4m", "durration: unknown field; did you mean 'duration'?"),
        (Scenario, "events: [{at: 1s, fualt: x}]", "events.0.fualt: unknown field; did you mean 'fault'?"),
        (RouteSpec, "verions: {}", "verions: unknown field; did you mean 'versions'?"),
        (Settings, "drian_s: 1", "drian_s: unknown field; did you mean 'drain_s'?"),
    ],
)
def test_a_misspelt_name_says_which_one_was_probably_meant(kind: type[BaseModel], text: str, message: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        parse_yaml(kind, text, "file.yaml")
    sentences = [f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in caught.value.details]
    assert any(re.search(message.replace("?", r"\?"), one) for one in sentences), sentences


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("strategy: ", "strategy: is empty: remove the line or give fields, as name: value"),
        ("strategy: {steps: }", "strategy.steps: is empty: remove the line or give a list"),
        ("strategy: {alpha: }", "strategy.alpha: is empty: remove the line or give a number"),
        ("strategy: {steps: {weight: 5}}", "strategy.steps: must be a list"),
        ("strategy: {steps: [5]}", "strategy.steps.0: must be fields, as name: value"),
        ("sticky: x-user-id", "sticky: must be fields, as name: value"),
        (
            "strategy: {steps: [{weight: 12.345%}]}",
            "strategy.steps.0.weight: '12.345%' is not a share; write a percentage, such as 10% or 2.5%, "
            "or 1/10,000 as a number: 1000",
        ),
        (
            "strategy: {steps: [{weight: 0.05}]}",
            "strategy.steps.0.weight: must be a whole number, not '0.05'; write 5% or 500 (1/10,000)",
        ),
        ("strategy: {alpha: 5%}", "strategy.alpha: must be a number, not '5%'; 5 % is 0.05"),
        ("strategy: {minRequests: many}", "strategy.minRequests: must be a whole number, not 'many'"),
        (
            "strategy: {steps: [{weight: 5, approval: maybe}]}",
            "strategy.steps.0.approval: must be true or false, not 'maybe'",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_the_words_of_the_file(settings: str, message: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        parse_yaml(Platform, f"{MODEL}{settings}}}}}", "file.yaml")
    (found,) = caught.value.details
    assert f"{'.'.join(map(str, found.loc))}: {found.msg}" == f"models.iris.{message}"


@given(st.text(max_size=12), st.sampled_from(["top", "gateway", "models"]))
def test_any_unknown_field_is_an_error_that_names_it(name: str, place: str) -> None:
    data = {"top": {name: 1}, "gateway": {"gateway": {name: 1}}, "models": {"models": {"iris": {name: 1}}}}[place]
    kinds: tuple[type[BaseModel], ...] = (Platform, GatewaySettings, LocalModel)
    assume(not any(name in (field, one.alias) for kind in kinds for field, one in kind.model_fields.items()))
    with pytest.raises(errors.Invalid) as caught:
        parse(Platform, data, "file.yaml")
    assert any(one.loc[-1] == name and one.msg.startswith("unknown field") for one in caught.value.details)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("10", "10 has no unit; write 10s for seconds, or another unit: 500ms, 5m, 2h, 1h30m"),
        ("0.5", "0.5 has no unit; write 0.5s for seconds"),
        ("0", "0 has no unit; write 0s for seconds"),
        ("yes", "true is not a duration; write 500ms, 30s, 5m, 2h or 1h30m"),
        ("-3", "-3 is not a duration; write 500ms"),
        (".inf", "Infinity is not a duration; write 500ms"),
    ],
)
def test_a_person_writes_a_duration_with_its_unit(written: str, message: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        parse_yaml(Platform, MODEL + f"strategy: {{steps: [{{weight: 500, minDuration: {written}}}]}}}}}}", "file.yaml")
    assert f"models.iris.strategy.steps.0.minDuration: {message}" in caught.value.message
    with pytest.raises(errors.Invalid) as caught:
        parse_yaml(Scenario, f"duration: {written}", "scenario.yaml")
    assert any(one.loc == ("duration",) and one.msg.startswith(message) for one in caught.value.details)


def test_a_stored_duration_without_a_unit_is_still_seconds() -> None:
    """A ledger that another program wrote may have numbers; nobody could add the units there."""
    spec = {"model": "iris", "versions": {"1": {}}, "target": {"version": "1"}, "timeouts": {"request": 7}}
    assert parse(RouteSpec, spec, "ledger").timeouts.request == 7.0

"""YAML that people write: what is not read as it was meant is refused with what to write instead."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts import (
    action,
    gates,
    manifest,
    platform,
    prometheus,
    revision,
    route,
    scenario,
    wording,
    yaml_text,
)
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse, parse_yaml
from fairlead.contracts.platform import Platform
from fairlead.contracts.scenario import Scenario

MODEL = "name: iris\nformat: python\nentry: model:Iris\nversion: "
READ_AS = {
    "2": "the number 2",
    "1.10": "the number 1.1",
    "0x10": "the number 16",
    "010": "the number 8",
    "1_000": "the number 1000",
    "12:30": "the number 750",
    "2026-11-29": "the date 2026-11-29",
    "yes": "the boolean true",
    "no": "the boolean false",
    "off": "the boolean false",
    "~": "nothing",
    "null": "nothing",
}


def refused(kind: type[BaseModel], text: str) -> errors.Invalid:
    with pytest.raises(errors.Invalid) as caught:
        parse_yaml(kind, text, "file.yaml")
    return caught.value


@pytest.mark.parametrize("written", READ_AS)
def test_an_unquoted_version_in_a_manifest_gets_the_advice_to_quote_it(written: str) -> None:
    wanted = f'file.yaml: version: YAML reads {written} as {READ_AS[written]}: write it in quotes, "{written}"'
    assert refused(Manifest, f"{MODEL}{written}\n").message == wanted
    assert refused(Manifest, f"{MODEL}{written}  # comment\n").message == wanted


@pytest.mark.parametrize("written", sorted(READ_AS.keys() - {"~", "null"}))
def test_an_unquoted_key_of_versions_gets_the_same_advice(written: str) -> None:
    text = f"models: {{iris: {{target: '{written}', versions: {{{written}: {{source: a}}}}}}}}\n"
    wanted = (
        f'models.iris.versions.{written}: YAML reads {written} as {READ_AS[written]}: write it in quotes, "{written}"'
    )
    error = refused(Platform, text)
    assert error.message.removeprefix("file.yaml: ").removesuffix(" (and 1 more)") == wanted
    assert error.details[0].loc == ("models", "iris", "versions", written)


def test_two_keys_that_yaml_reads_as_one_number_are_named_as_they_were_written() -> None:
    error = refused(Platform, "models: {iris: {versions: {1.1: {source: a}, 1.10: {source: b}}}}\n")
    assert "YAML reads both 1.1 and 1.10 as the number 1.1: write them in quotes" in error.message


def test_a_scenario_and_a_word_that_yaml_reads_as_a_boolean_get_the_same_advice() -> None:
    assert refused(Scenario, "name: 5\n").message.startswith("file.yaml: name: YAML reads 5 as the number 5: write it")
    text = "models: {iris: {target: a, versions: {a: {source: a}}, strategy: {onInconclusive: {do: no}}}}\n"
    assert (
        "onInconclusive.do: YAML reads no as the boolean false: write it in quotes" in refused(Platform, text).message
    )


def test_a_value_that_was_forgotten_is_called_so() -> None:
    assert refused(Manifest, MODEL).message.endswith(
        "version: there is nothing after the colon; write a value, or remove the line"
    )


def test_quotes_are_not_advised_where_there_are_quotes() -> None:
    assert refused(Manifest, f'{MODEL}"1_0"\n').message.endswith(
        'version: \'1_0\' is not a version; write lower-case letters, digits, "." and "-", at most 40, '
        "a letter or digit first and last: 1.0.0, 2, 3.1-rc1"
    )


@pytest.mark.parametrize("written", ["2026-13-45", "2026-02-30", "0b_", "0x_"])
def test_what_only_looks_like_a_day_or_a_number_is_a_text(written: str) -> None:
    """PyYAML raises ValueError for it, which is no YAMLError."""
    assert yaml_text.load(written)[0] == written


def test_a_number_of_more_digits_than_python_reads_is_a_text() -> None:
    written = "9" * 5000
    assert yaml_text.load(written)[0] == written


@pytest.mark.parametrize("written", ["2026-13-45", "2026-02-30"])
def test_a_version_that_looks_like_a_day_that_does_not_exist_is_read_as_written(written: str) -> None:
    assert parse_yaml(Manifest, f"{MODEL}{written}\n", "file.yaml").version == written


@given(st.text("0123456789abcdefxo_.:+-~ny", min_size=1, max_size=12))
def test_every_unquoted_version_is_read_as_written_or_refused_in_words(written: str) -> None:
    try:
        result = parse_yaml(Manifest, f"{MODEL}{written}\n", "file.yaml").version
    except errors.Invalid as error:
        result = error.message
    assert result == written or not re.search("String should match|valid string", result)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_yaml_is_a_manifest_or_invalid(data: Any) -> None:
    with pytest.raises(errors.Invalid):
        parse_yaml(Manifest, yaml.safe_dump({"version": data, "name": data}, allow_unicode=True), "file.yaml")


# words for patterns


def patterns_of(module: Any) -> set[str]:
    """The patterns in the schemas of all documents of a module, without those with an error of their own."""
    found: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            found.update([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__:
            collect(kind.model_json_schema())
    return found


@pytest.mark.parametrize("module", [action, gates, manifest, platform, prometheus, revision, route, scenario])
def test_every_pattern_of_the_contracts_has_words(module: Any) -> None:
    own_errors = {pattern for pattern in patterns_of(module) if pattern.startswith((r"^(\d+", "^(ready|"))}
    assert patterns_of(module) - own_errors <= wording.WORDINGS.keys()


def test_a_value_that_may_contain_a_password_is_not_shown() -> None:
    with pytest.raises(errors.Invalid, match=r"url: this is not a URL of a Prometheus") as caught:
        parse(prometheus.PrometheusSettings, {"url": "http://user:secret@prometheus"}, "platform.yaml")
    assert "secret" not in caught.value.message


def test_plain_data_is_refused_in_the_same_words() -> None:
    with pytest.raises(errors.Invalid, match=r"target\.version: 'V_1' is not a version; write lower-case letters"):
        parse(route.RouteSpec, {"model": "iris", "versions": {"a": {}}, "target": {"version": "V_1"}}, "route")


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{a: ", "}")])
@pytest.mark.parametrize("depth", [500, 20_000])
def test_yaml_that_is_nested_too_deeply_is_refused_with_a_sentence(start: str, end: str, depth: int) -> None:
    with pytest.raises(errors.Invalid, match=r"^file\.yaml: not YAML: .* nested too deeply"):
        parse_yaml(Manifest, f"{MODEL}1.0.0\nbuilt_with: {start * depth}1{end * depth}", "file.yaml")

"""Null and malformed texts in values: a sentence with the path of the value, never a trace of a template."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from charts.sample import FETCHED, IRIS, replaced, with_version
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.platform import Platform
from fairlead.errors import Invalid
from support.helm import CHARTS, HelmFailed, find_helm, helm, pod_of, render

Path = tuple[str, ...]
TRACE = re.compile(r"nil pointer|error calling|executing |wrong type|reflect|interface|<no value>|panic")
BASES: dict[str, dict[str, Any]] = {"model": with_version("1.2.0", FETCHED), "platform": {}, "crds": {}}


def values_of(chart: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    return values


def every_path(node: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every value, sections included."""
    for name, child in node.items():
        yield (*path, str(name))
        if isinstance(child, dict):
            yield from every_path(child, (*path, str(name)))


def complaint_of(chart: str, path: Path) -> str | None:
    """What is wrong with the result of setting this path to null; None if nothing is."""
    name = ".".join(path)
    try:
        rendered = render(chart, replaced(BASES[chart], path, None))
    except HelmFailed as error:
        message = next(line for line in str(error).splitlines() if line.startswith("Error"))
        wanted = rf"\): {re.escape(name)}: is (null; remove the line|empty; )"
        return None if re.search(wanted, message) and not TRACE.search(str(error)) else f"{name}: {error}"
    return f"{name}: {rendered.text}" if TRACE.search(rendered.text) else None


def lint(values: dict[str, Any], *more: str) -> str:
    """Everything that `helm lint` prints for the model chart. Raises CalledProcessError if it fails."""
    command = [find_helm(), "lint", "--strict", str(CHARTS / "model"), "--values", "-", *more]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chart", ["model", "platform", "crds"])
def test_null_for_any_value_works_or_is_refused_with_the_path_and_what_to_do(chart: str) -> None:
    find_helm()
    paths = list(every_path(values_of(chart)))
    with ThreadPoolExecutor(4) as pool:
        found = [text for text in pool.map(lambda path: complaint_of(chart, path), paths) if text]
    assert found == []
    assert len(paths) > {"model": 130, "platform": 150, "crds": 2}[chart]


def test_an_upgrade_says_that_reused_values_may_be_the_cause() -> None:
    """With `--reuse-values` Helm leaves out what the new chart's values.yaml adds, so it looks like null."""
    values = {**IRIS, "workload": {"autoscaling": None}}
    with pytest.raises(HelmFailed, match=r"autoscaling: is null; .* pass your values file instead of --reuse-values\)"):
        render("model", values, more=["--is-upgrade"])
    with pytest.raises(HelmFailed, match=r"maxInstances, target, .*, behavior or renderMode below it\n"):
        render("model", values)


def test_lint_logs_the_same_sentence_and_goes_on_without_a_trace() -> None:
    """Helm's lint never fails on `fail`, and takes the defaults where a value is null."""
    text = lint(IRIS, "--set", "target=2,workload.drain=null")
    assert 'message="target: YAML reads it as the number 2; write it in quotes' in text
    assert not TRACE.search(text)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chart", ["model", "platform"])
def test_every_section_that_is_null_is_refused(chart: str) -> None:
    """A section has keys of its own. Its default would hide that a person left its lines out by mistake."""
    documents = json.loads((CHARTS / chart / "files/values.json").read_text())["values"]["below"]
    sections = [
        name
        for name, node in documents.items()
        if "below" in node and "empty" not in node and name not in ("sticky", "versions")
    ]
    for name in sections:
        with pytest.raises(HelmFailed, match=rf"\): {name}: is null; remove the line to keep the defaults, or set "):
            render(chart, {**BASES[chart], name: None})
    assert len(sections) > 5


def test_null_removes_a_default_that_goes_to_kubernetes_unchanged() -> None:
    workload = dict.fromkeys(("resources", "podSecurityContext", "securityContext", "topologySpread"))
    [deployment, *_] = render("model", {**IRIS, "workload": workload}).of("Deployment")
    pod = pod_of(deployment)
    assert "securityContext" not in pod
    assert "topologySpreadConstraints" not in pod
    assert pod["containers"][0]["resources"] == {}
    assert pod["containers"][0]["securityContext"] == {}


def test_every_template_checks_the_values_first() -> None:
    """Helm executes the templates in an order of its own, so the first of them must check, whichever it is."""
    for chart in ("model", "platform"):
        for path in (CHARTS / chart / "templates").rglob("*.*"):
            if not path.name.startswith("_"):
                assert path.read_text().startswith('{{- include "fairlead.checked" . }}\n'), path


def test_a_version_without_anything_after_its_name_is_one_with_the_defaults() -> None:
    empty = {**IRIS, "versions": {"1.0.0": None}}
    assert render("model", empty).objects == render("model", {**IRIS, "versions": {"1.0.0": {}}}).objects


# texts


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_no_schema_has_a_regular_expression_to_print(chart: str) -> None:
    text = (CHARTS / chart / "values.schema.json").read_text()
    assert '"pattern"' not in text
    assert '"propertyNames"' not in text


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_no_schema_has_half_of_a_sentence_as_a_keyword(chart: str) -> None:
    """As YAML reads a text with a comma that is not quoted."""
    text = (CHARTS / chart / "values.schema.json").read_text()
    assert [line for line in text.splitlines() if line.rstrip(",").endswith(": null")] == []


def every_text(node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Paths of values.yaml whose text files/values.json checks, with the name of the check."""
    for name, inner in node.get("below", {}).items():
        if "text" in inner:
            yield (*path, name), inner["text"]
        yield from every_text(inner, (*path, name))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chart", ["model", "platform"])
def test_a_malformed_text_is_refused_in_words_with_an_example(chart: str) -> None:
    known = json.loads((CHARTS / chart / "files/values.json").read_text())
    texts = list(every_text(known["values"]))
    assert len(texts) >= {"model": 14, "platform": 14}[chart]
    for path, check in texts:
        with pytest.raises(HelmFailed) as refused:
            render(chart, replaced(BASES[chart], path, "_ ?"))
        words = known["patterns"][check]
        shown = "this" if words.get("isHidden") else '"_ ?"'
        wanted = f"): {'.'.join(path)}: {shown} is not {words['noun']}; write {words['shape']}"
        assert wanted in str(refused.value)
        assert words["pattern"] not in str(refused.value)


def test_a_refused_url_is_not_shown_because_it_may_contain_a_password() -> None:
    with pytest.raises(HelmFailed, match=r"prometheus\.url: this is not a URL of a Prometheus; write http") as refused:
        render("platform", {"prometheus": {"url": "http://user:secret@prometheus:9090"}})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("target: 2", "target: YAML reads it as the number 2; write it in quotes"),
        (
            "target: 1.10",
            'target: YAML reads it as the number 1.1; write it in quotes as you mean it, for example "1.10"',
        ),
        ("target: 1e3", "target: YAML reads it as the number 1000; write it in quotes"),
        ("target: 0x10", "target: YAML reads it as the number 16; write it in quotes"),
        ("target: 1_000", "target: YAML reads it as the number 1000; write it in quotes"),
        ("target: 20261129", "target: YAML reads it as the number 20261129; write it in quotes"),
        ("target: yes", "target: YAML reads it as the boolean true; write it in quotes"),
        ("model: 123", "model: YAML reads it as the number 123; write it in quotes"),
        ("image: {tag: 1.0}", None),
        ('versions: {"1.0.0": {image: {tag: 1.0}}}', "versions.1.0.0.image.tag: YAML reads it as the number 1;"),
        ("mirrors: [{version: 1.1, share: 1}]", "mirrors[0].version: YAML reads it as the number 1.1;"),
        ('target: "1.10"\nversions: {1.10: {}}', 'write "1.10" in quotes in versions: without them YAML reads it as'),
        ('target: "1e3"\nversions: {1e3: {}}', 'write "1e3" in quotes in versions: without them YAML reads it as'),
        ("versions: {12:30: {}}", 'versions: the key "12:30" is not a version; write lower-case letters'),
        ("versions: {1_0_x: {}}", 'versions: the key "1_0_x" is not a version; write lower-case letters'),
    ],
)
def test_an_unquoted_name_gets_the_advice_to_quote_it(written: str, advice: str | None) -> None:
    base = 'target: "1.0.0"\nversions: {"1.0.0": {}}\n'
    names = [line.partition(":")[0] for line in written.splitlines()]
    kept = "".join(line for line in base.splitlines(keepends=True) if line.partition(":")[0] not in names)
    with pytest.raises(HelmFailed) as refused:
        helm("template", "iris", CHARTS / "model", "--values", "-", standard_input=f"{kept}{written}\n")
    assert (advice or "additional properties 'tag' not allowed") in str(refused.value)


@pytest.mark.parametrize("written", ["1e3", "0x10", "1_000", "1.20", "yes"])
def test_the_advice_offers_no_value_that_may_differ_from_what_was_written(written: str) -> None:
    """A template gets the number, not the text: for 1e3 it would offer "1000", which is another version."""
    text = f'target: {written}\nversions: {{"{written}": {{}}}}\n'
    with pytest.raises(HelmFailed) as refused:
        helm("template", "iris", CHARTS / "model", "--values", "-", standard_input=text)
    message = next(line for line in str(refused.value).splitlines() if "YAML reads it as" in line)
    offered = "yes" if written == "yes" else "1.10"
    assert re.findall(r'"(.*?)"', message) == [offered]


DURATIONS: list[tuple[Path, Any, str]] = [
    (("strategy", "steps"), [{"weight": 500, "minDuration": 10}], "strategy.steps[0].minDuration: 10 has no unit"),
    (("strategy", "shadow"), {"minDuration": 90}, "strategy.shadow.minDuration: 90 has no unit; write 90s for seconds"),
    (("strategy", "rollbackWindow"), 0, "strategy.rollbackWindow: 0 has no unit; write 0s for seconds"),
    (("timeouts", "perTry"), 0.5, "timeouts.perTry: 0.5 has no unit; write 0.5s for seconds, or another unit: 500ms"),
    (("timeouts", "request"), -1, "timeouts.request: -1 is not a duration; write 500ms, 30s, 5m"),
    (("podMonitor", "interval"), 15, "podMonitor.interval: 15 has no unit; write 15s for seconds"),
]


@pytest.mark.parametrize(("path", "value", "wanted"), DURATIONS)
def test_a_duration_without_a_unit_gets_the_advice_to_add_one(path: Path, value: Any, wanted: str) -> None:
    with pytest.raises(HelmFailed) as refused:
        render("model", replaced(IRIS, path, value))
    assert f"): {wanted}" in str(refused.value)


@pytest.mark.parametrize(("path", "value", "wanted"), DURATIONS[:-1])
def test_a_platform_file_and_the_chart_refuse_a_duration_in_the_same_words(path: Path, value: Any, wanted: str) -> None:
    section = replaced({}, path, value)
    model = {"target": "1", "versions": {"1": {"source": "iris"}}, **section}
    with pytest.raises(Invalid) as refused:
        parse_yaml(Platform, json.dumps({"models": {"iris": model}}), "platform.yaml")
    assert wanted.replace("[0]", ".0") in refused.value.message


def test_lint_takes_a_duration_without_a_unit_without_a_trace() -> None:
    text = lint(IRIS, "--set", "timeouts.request=10,timeouts.perTry=1")
    assert "has no unit; write 10s for seconds" in text or "has no unit; write 1s for seconds" in text
    assert not TRACE.search(text)


def test_a_date_is_a_version_also_without_quotes() -> None:
    """Unlike PyYAML, Helm reads a date as text."""
    text = helm(
        *("template", "iris", CHARTS / "model", "--values", "-"),
        standard_input="target: 2026-11-29\nversions: {2026-11-29: {}}\n",
    )
    [route] = [one for one in yaml.safe_load_all(text) if one and one["kind"] == "ModelRoute"]
    assert route["spec"]["target"] == {"version": "2026-11-29"}
    assert list(route["spec"]["versions"]) == ["2026-11-29"]

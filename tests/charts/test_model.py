"""charts/model: the objects of a model's release, what a changed value changes, and the error messages."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from charts.sample import ARTIFACT, DIGEST, FETCHED, IRIS, OTHER_DIGEST, replaced, with_version, with_workload
from fairlead.contracts.route import MirrorSpec, RouteSpec, Strategy, VersionSpec
from fairlead.rollout.policy.small_shares import small_shares
from support.helm import CHARTS, HelmFailed, Object, helm, notes, render

KEPT = ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")


def identity(version: str, image: str, artifact: str = "") -> str:
    return VersionSpec(image=image, artifact=artifact).ref(version).identity


# identity


@pytest.mark.parametrize(("value", "found"), [("", None), *((one, one) for one in ("1.1.0", "1.1.0 after iris.12"))])
def test_accepted_breaking_types_are_an_annotation_of_the_route(value: str, found: str | None) -> None:
    route = render("model", {**IRIS, "acceptBreaking": value}).one("ModelRoute")
    assert route["metadata"].get("annotations", {}).get("fairlead.dev/accept-breaking") == found


def test_the_route_is_a_route_spec_with_every_default_of_the_contract() -> None:
    route = render("model", IRIS).one("ModelRoute")
    spec = RouteSpec.model_validate(route["spec"])
    assert spec.to_json() == {
        **RouteSpec(
            model="iris",
            target={"version": "1.0.0"},
            versions={
                "1.0.0": VersionSpec(image=f"fairlead/model-iris@{DIGEST}", instances=2),
                "1.1.0": VersionSpec(image=f"fairlead/model-iris@{OTHER_DIGEST}", instances=2),
            },
        ).to_json()
    }


@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])
@given(
    st.dictionaries(
        st.from_regex(r"[0-9a-z]([0-9a-z.-]{0,38}[0-9a-z])?", fullmatch=True),
        st.tuples(st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.sampled_from(["", ARTIFACT])),
        min_size=1,
        max_size=12,
    )
)
def test_names_and_labels_carry_the_identity_that_the_contract_computes(versions: dict[str, tuple[str, str]]) -> None:
    values = {
        "model": "iris",
        "target": next(iter(versions)),
        "versions": {
            name: {"image": {"digest": f"sha256:{digest}"}, "artifact": artifact}
            for name, (digest, artifact) in versions.items()
        },
    }
    rendered = render("model", values)
    spec = RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
    wanted = {spec.versions[name].ref(name).identity: name for name in versions}
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        found = {one["metadata"]["name"]: one["metadata"]["labels"] for one in rendered.of(kind)}
        assert found.keys() == {f"iris-{one}" for one in wanted}
        for labels in found.values():
            assert wanted[labels["fairlead.dev/identity"]] == labels["fairlead.dev/version"]
            assert labels["fairlead.dev/model"] == labels["fairlead.dev/route"] == "iris"


def test_a_changed_digest_creates_new_objects_and_keeps_the_names_of_the_others() -> None:
    before = {one["metadata"]["name"] for one in render("model", IRIS).of("Deployment")}
    edited = replaced(IRIS, ("versions", "1.0.0", "image", "digest"), OTHER_DIGEST)
    after = {one["metadata"]["name"] for one in render("model", edited).of("Deployment")}
    assert len(before & after) == 1
    assert after - before == {f"iris-{identity('1.0.0', f'fairlead/model-iris@{OTHER_DIGEST}')}"}


def test_a_tag_beside_a_digest_is_not_part_of_the_image() -> None:
    tagged = replaced(IRIS, ("versions", "1.0.0", "image", "tag"), "latest")
    assert render("model", tagged).text == render("model", IRIS).text


def test_without_a_digest_the_tag_is_the_version() -> None:
    values = {"target": "2.0", "versions": {"2.0": {}}, "image": {"registry": "registry.example.com/"}}
    route = render("model", values, release="sentiment").one("ModelRoute")
    assert route["spec"]["versions"]["2.0"]["image"] == "registry.example.com/fairlead/model-sentiment:2.0"
    with pytest.raises(HelmFailed, match=r"versions\.2\.0\.image\.digest: is empty"):
        render("model", replaced(values, ("image", "requireDigest"), True))


@pytest.mark.parametrize("name", ["123", "1e3", "true", "null", "0x1f", "no"])
def test_names_that_yaml_could_read_as_another_type_stay_strings(name: str) -> None:
    values = {"model": name, "target": name, "versions": {name: {"image": {"digest": DIGEST}}}}
    rendered = render("model", values, release=name, namespace=name)
    RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
    for one in rendered.objects:
        words = [one["metadata"]["name"], one["metadata"]["namespace"], *one["metadata"]["labels"].values()]
        assert all(isinstance(word, str) for word in words), one["metadata"]


# releases


def manifest(values: dict[str, Any], *more: str) -> list[Object]:
    return render("model", values, more=more).installed()


def test_a_release_changes_only_the_target_of_the_route() -> None:
    before, after = manifest(IRIS), manifest(IRIS, "--set", "target=1.1.0")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    [(old, new)] = changed
    assert old["kind"] == "ModelRoute"
    assert new == {**old, "spec": {**old["spec"], "target": {"version": "1.1.0"}}}


def test_the_same_values_render_the_same_bytes() -> None:
    values = with_version("1.2.0", FETCHED)
    assert render("model", values).text == render("model", values).text
    backwards = {**values, "versions": dict(reversed(values["versions"].items()))}
    assert render("model", backwards).text == render("model", values).text


def test_an_upgrade_renders_the_same_as_an_installation() -> None:
    values = with_version("1.2.0", FETCHED)
    assert render("model", values, more=("--is-upgrade",)).text == render("model", values).text


def test_a_versions_objects_are_kept_by_helm_and_argo_and_have_no_owner_yet() -> None:
    rendered = render("model", with_workload(autoscaling={"kind": "hpa"}))
    for one in rendered.installed():
        annotations = one["metadata"].get("annotations", {})
        kept = one["kind"] in KEPT
        assert (annotations.get("helm.sh/resource-policy") == "keep") is kept, one["kind"]
        assert (annotations.get("argocd.argoproj.io/sync-options") == "Prune=false") is kept, one["kind"]
        assert "ownerReferences" not in one["metadata"]


def test_a_new_version_of_the_chart_does_not_change_pods(tmp_path: Any) -> None:
    copied = tmp_path / "model"
    subprocess.run(["cp", "-rL", CHARTS / "model", copied], check=True)
    about = yaml.safe_load((copied / "Chart.yaml").read_text())
    (copied / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "9.9.9", "appVersion": "9.9.9"}))
    text = helm("template", "iris", copied, "--values", "-", standard_input=json.dumps(IRIS))
    after = [one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment"]
    before = render("model", IRIS).of("Deployment")
    assert [one["spec"] for one in after] == [one["spec"] for one in before]
    assert "9.9.9" in text


# values that are rejected


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"model": "iris", "target": "1.0.0"}, r"versions: is empty"),
        ({**IRIS, "target": ""}, r"target: is empty; set it to one of versions: 1\.0\.0, 1\.1\.0"),
        ({**IRIS, "target": "3.0.0"}, r'target: "3\.0\.0" is not one of versions: 1\.0\.0, 1\.1\.0'),
        ({**IRIS, "mirrors": [{"version": "3.0.0"}]}, r'mirrors\[0\]\.version: "3\.0\.0" is not one of'),
        (
            {**IRIS, "strategy": {"steps": [{"weight": 500}, {"weight": 500}]}},
            r"strategy\.steps\[1\]\.weight: 500 is not above the step before \(500\)",
        ),
        ({**IRIS, "timeouts": {"perTry": "10s1ms"}}, r"timeouts\.perTry: 10s1ms is more than timeouts\.request, 10s"),
        (
            {**IRIS, "timeouts": {"request": "1m"}},
            r"workload\.drain\.requestSeconds: 20 is less than timeouts\.request, 1m",
        ),
        ({**IRIS, "sticky": {"header": "x-request-id"}}, r"sticky\.header: the gateway sets x-request-id itself"),
        ({**IRIS, "sticky": {"header": "x-envoy-user"}}, r"sticky\.header: the gateway sets x-envoy-user itself"),
        (
            {**IRIS, "mirrors": [{"version": "1.1.0", "share": 1}, {"version": "1.1.0", "share": 2}]},
            r'mirrors\[1\]\.version: "1\.1\.0" is there twice',
        ),
        ({**IRIS, "model": "Iris"}, r'model: "Iris" is not a model name; write lower-case letters'),
        (with_version("1.2.0", {"source": {"kind": "init"}}), r"versions\.1\.2\.0\.source\.uri: is empty"),
        (
            with_version("1.2.0", {"source": {"kind": "init", "uri": "https://example.com/a"}}),
            r"versions\.1\.2\.0\.artifact: is empty",
        ),
        (
            with_version("1.2.0", {"source": {"uri": "https://example.com/a"}}),
            r"source\.uri: is for kind init, but kind is baked; set kind: init, or remove uri",
        ),
        (
            with_version("1.2.0", {**FETCHED, "source": {"kind": "init", "uri": "s3://bucket/a"}}),
            r'"s3://bucket/a" is not an http\(s\) address; set source\.fetcher',
        ),
        (
            with_workload(instances=3, autoscaling={"kind": "hpa", "maxInstances": 2}),
            r"autoscaling\.maxInstances: 2 is less than the minimum of 3",
        ),
        (
            with_workload(autoscaling={"kind": "hpa", "cpuPercent": 0}),
            r"autoscaling\.kind: is hpa, but there is no metric",
        ),
    ],
)
def test_values_that_contradict_each_other_are_rejected_with_their_path(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", values)


def test_a_model_has_the_name_of_its_release_unless_a_name_is_set() -> None:
    values = {key: value for key, value in IRIS.items() if key != "model"}
    assert render("model", values, release="sentiment").one("ModelRoute")["spec"]["model"] == "sentiment"
    with pytest.raises(HelmFailed, match="the name of the release, .* is not a model name"):
        render("model", values, release="a" * 41)


# notes, helm test, optional objects


@pytest.mark.parametrize(("serving", "expected"), [({}, []), ({"workers": 2}, ["2"]), ({"workers": "auto"}, ["auto"])])
def test_a_pod_has_workers_where_the_values_ask_for_them(serving: dict[str, Any], expected: list[str]) -> None:
    deployment = render("model", with_workload(serving=serving)).of("Deployment")[0]
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [one["value"] for one in environment if one["name"] == "FAIRLEAD_SERVING_WORKERS"] == expected


def test_recorded_requests_have_a_volume_of_their_size_and_hidden_fields_are_a_list() -> None:
    serving = {"recordShare": 0.01, "recordBytes": 10_000_000, "recordRedact": ["street", "name"]}
    pod = render("model", with_workload(serving=serving)).of("Deployment")[0]["spec"]["template"]["spec"]
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert environment["FAIRLEAD_SERVING_RECORD_SHARE"] == "0.01"
    assert environment["FAIRLEAD_SERVING_RECORD_BYTES"] == "10000000"
    assert environment["FAIRLEAD_SERVING_RECORD_REDACT"] == "street,name"
    assert {"name": "recording", "mountPath": "/recording"} in pod["containers"][0]["volumeMounts"]
    assert {"name": "recording", "emptyDir": {"sizeLimit": "11048576"}} in pod["volumes"]
    assert environment["FAIRLEAD_SERVING_RECORD_DIR"] == "/recording"


@pytest.mark.parametrize("serving", [{}, {"recordShare": 0}, {"recordShare": 0.5, "recordDir": "/claim"}])
def test_there_is_no_volume_for_recorded_requests_without_a_share_or_with_a_folder(serving: dict[str, Any]) -> None:
    pod = render("model", with_workload(serving=serving)).of("Deployment")[0]["spec"]["template"]["spec"]
    assert "recording" not in {volume["name"] for volume in pod["volumes"]}
    directories = [one["value"] for one in pod["containers"][0]["env"] if one["name"] == "FAIRLEAD_SERVING_RECORD_DIR"]
    assert directories == ([serving["recordDir"]] if "recordDir" in serving else [])


def test_notes_give_the_next_command_and_warn() -> None:
    plain = notes("model", IRIS)
    assert "kubectl -n default get modelroute iris --watch" in plain
    assert "change target in your values" in plain
    assert "WARNING" not in plain
    slow = {"instances": 1, "startup": {"budgetSeconds": 601}}
    risky = notes("model", {"target": "1", "versions": {"1": {"overrides": slow}}})
    assert "WARNING: 1 may take 601 s to load, but a release gives up after 10m" in risky
    assert "WARNING: 1 has no digest (fairlead/model-iris:1)" in risky
    assert "WARNING: 1 has only one pod" in risky


SMALL: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"strategy": {"steps": [{"weight": 100}, {"weight": 5000}]}}, []),
    ({"strategy": {"steps": []}}, []),
    (
        {"strategy": {"steps": [{"weight": 20}, {"weight": 40}, {"weight": 60}]}},
        ["strategy.steps: weight 20 is 0.2 % (weights are in 1/10,000); 20 % is 2000"],
    ),
    ({"strategy": {"shadow": {}}}, []),
    (
        {"strategy": {"shadow": {"share": 99}}, "mirrors": [{"version": "1.1.0"}, {"version": "1.0.0", "share": 5}]},
        [
            "strategy.shadow: share 99 is 0.99 % (shares are in 1/10,000); 99 % is 9900",
            "mirrors: share 5 is 0.05 % (shares are in 1/10,000); 5 % is 500",
        ],
    ),
]


@pytest.mark.parametrize(("values", "warnings"), SMALL)
def test_a_weight_that_was_probably_meant_in_percent_gets_a_warning(
    values: dict[str, Any], warnings: list[str]
) -> None:
    """In the notes of the chart and in the answer of `fairlead up` and `fairlead deploy`."""
    said = notes("model", {**IRIS, **values})
    assert re.findall("WARNING: (.*)", said) == warnings
    parsed = [MirrorSpec.model_validate(one) for one in values.get("mirrors", ())]
    assert list(small_shares(Strategy.model_validate(values.get("strategy", {})), parsed)) == warnings


def test_helm_test_asks_the_target_through_the_gateway() -> None:
    values = {**IRIS, "target": "1.1.0", "platform": {"release": "edge", "namespace": "serving"}}
    [job] = render("model", values).hooks()
    [container] = job["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["FAIRLEAD_GATEWAY"] == "http://edge-gateway.serving.svc.cluster.local"
    assert environment["FAIRLEAD_VERSION"] == "1.1.0"
    assert container["image"] == f"fairlead/model-iris@{OTHER_DIGEST}"


@pytest.mark.parametrize("mode", ["never", "skipIfMissing", "failIfMissing", "always"])
def test_the_render_mode_decides_whether_a_pod_monitor_is_rendered(mode: str) -> None:
    values = {**IRIS, "podMonitor": {"renderMode": mode, "labels": {"release": "prometheus"}}}
    there = render("model", values, apis=["monitoring.coreos.com/v1/PodMonitor"])
    assert len(there.of("PodMonitor")) == (0 if mode == "never" else 1)
    if mode == "failIfMissing":
        with pytest.raises(HelmFailed, match=r"podMonitor\.renderMode: is failIfMissing, but the cluster has no"):
            render("model", values)
    else:
        assert len(render("model", values).of("PodMonitor")) == (1 if mode == "always" else 0)


def test_extra_objects_are_templates() -> None:
    extra = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}},
        'apiVersion: v1\nkind: Secret\nmetadata:\n  name: "{{ .Values.target }}"\n',
    ]
    rendered = render("model", {**IRIS, "extraObjects": extra})
    assert rendered.one("ConfigMap")["metadata"]["name"] == "iris-extra"
    assert rendered.one("Secret")["metadata"]["name"] == "1.0.0"


def test_a_share_in_percent_is_rendered_as_the_number_that_the_api_server_compares() -> None:
    written = {"steps": [{"weight": "2.5%"}, {"weight": "50 %"}, {"weight": 7500}], "shadow": {"share": "0.29%"}}
    mirrors = [{"version": "1.1.0", "share": "10%"}]
    route = render("model", {**IRIS, "strategy": written, "mirrors": mirrors}).one("ModelRoute")

    strategy = route["spec"]["strategy"]
    assert [step["weight"] for step in strategy["steps"]] == [250, 5000, 7500]
    assert (strategy["shadow"]["share"], route["spec"]["mirrors"][0]["share"]) == (29, 1000)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("0%", "strategy.steps: weight 0% is not between 0.01% and 100%"),
        ("101%", "strategy.steps: weight 101% is not between 0.01% and 100%"),
        ("ten", 'strategy.steps[0].weight: "ten" is not a share; write a percentage, such as 10% or 2.5%'),
    ],
)
def test_a_share_that_is_no_percentage_is_refused_when_rendering(weight: str, message: str) -> None:
    with pytest.raises(HelmFailed) as caught:
        render("model", {**IRIS, "strategy": {"steps": [{"weight": weight}]}})

    assert message in str(caught.value)

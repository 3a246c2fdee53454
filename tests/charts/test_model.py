"""charts/model: what a model's release consists of, and what changes when a value does."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from charts.sample import ARTIFACT, DIGEST, FETCHED, IRIS, OTHER_DIGEST, replaced, with_version, with_workload
from fairlead.contracts.route import RouteSpec, VersionSpec
from support.helm import CHARTS, Object, Refused, helm, notes, render

KEPT = ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")


def identity(version: str, image: str, artifact: str = "") -> str:
    return VersionSpec(image=image, artifact=artifact).ref(version).identity


def pod_of(deployment: Object) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def container_of(deployment: Object) -> dict[str, Any]:
    return next(one for one in pod_of(deployment)["containers"] if one["name"] == "model")


# identity


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


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
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


def test_an_edited_digest_makes_other_objects_and_leaves_the_others_names_alone() -> None:
    before = {one["metadata"]["name"] for one in render("model", IRIS).of("Deployment")}
    edited = replaced(IRIS, ("versions", "1.0.0", "image", "digest"), OTHER_DIGEST)
    after = {one["metadata"]["name"] for one in render("model", edited).of("Deployment")}
    assert len(before & after) == 1
    assert after - before == {f"iris-{identity('1.0.0', f'fairlead/model-iris@{OTHER_DIGEST}')}"}


def test_a_tag_beside_a_digest_is_no_part_of_the_image() -> None:
    tagged = replaced(IRIS, ("versions", "1.0.0", "image", "tag"), "latest")
    assert render("model", tagged).text == render("model", IRIS).text


def test_without_a_digest_the_tag_is_the_version() -> None:
    values = {"target": "2.0", "versions": {"2.0": {}}, "image": {"registry": "registry.example.com/"}}
    route = render("model", values, release="sentiment").one("ModelRoute")
    assert route["spec"]["versions"]["2.0"]["image"] == "registry.example.com/fairlead/model-sentiment:2.0"
    with pytest.raises(Refused, match=r"versions\.2\.0\.image\.digest: is empty"):
        render("model", replaced(values, ("image", "requireDigest"), True))


@pytest.mark.parametrize("name", ["123", "1e3", "true", "null", "0x1f", "no"])
def test_names_that_look_like_something_else_stay_names(name: str) -> None:
    values = {"model": name, "target": name, "versions": {name: {"image": {"digest": DIGEST}}}}
    rendered = render("model", values, release=name, namespace=name)
    RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
    for one in rendered.objects:
        words = [one["metadata"]["name"], one["metadata"]["namespace"], *one["metadata"]["labels"].values()]
        assert all(isinstance(word, str) for word in words), one["metadata"]


# releases


def manifest(values: dict[str, Any], *more: str) -> list[Object]:
    return render("model", values, more=more).installed()


def test_a_release_changes_the_routes_target_and_nothing_else() -> None:
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


def test_an_upgrade_renders_what_an_installation_did() -> None:
    values = with_version("1.2.0", FETCHED)
    assert render("model", values, more=("--is-upgrade",)).text == render("model", values).text


def test_a_versions_objects_are_kept_by_helm_and_argo_and_owned_by_nobody_yet() -> None:
    rendered = render("model", with_workload(autoscaling={"kind": "hpa"}))
    for one in rendered.installed():
        annotations = one["metadata"].get("annotations", {})
        kept = one["kind"] in KEPT
        assert (annotations.get("helm.sh/resource-policy") == "keep") is kept, one["kind"]
        assert (annotations.get("argocd.argoproj.io/sync-options") == "Prune=false") is kept, one["kind"]
        assert "ownerReferences" not in one["metadata"]


def test_a_new_chart_does_not_touch_pods(tmp_path: Any) -> None:
    copied = tmp_path / "model"
    subprocess.run(["cp", "-rL", CHARTS / "model", copied], check=True)
    about = yaml.safe_load((copied / "Chart.yaml").read_text())
    (copied / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "9.9.9", "appVersion": "9.9.9"}))
    text = helm("template", "iris", copied, "--values", "-", standard_input=json.dumps(IRIS))
    after = [one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment"]
    before = render("model", IRIS).of("Deployment")
    assert [one["spec"] for one in after] == [one["spec"] for one in before]
    assert "9.9.9" in text


# what is refused


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"model": "iris", "target": "1.0.0"}, r"versions: there is none"),
        ({**IRIS, "target": ""}, r"target: is empty; say which of versions serves: 1\.0\.0, 1\.1\.0"),
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
        ({**IRIS, "model": "Iris"}, r"at '/model'"),
        (with_version("1.2.0", {"source": {"kind": "init"}}), r"versions\.1\.2\.0\.source\.uri: is empty"),
        (
            with_version("1.2.0", {"source": {"kind": "init", "uri": "https://example.com/a"}}),
            r"versions\.1\.2\.0\.artifact: is empty",
        ),
        (
            with_version("1.2.0", {"source": {"uri": "https://example.com/a"}}),
            r"did you mean kind: init",
        ),
        (
            with_version("1.2.0", {**FETCHED, "source": {"kind": "init", "uri": "s3://bucket/a"}}),
            r'"s3://bucket/a" is not http\(s\); give a fetcher',
        ),
        (
            with_workload(instances=3, autoscaling={"kind": "hpa", "maxInstances": 2}),
            r"autoscaling\.maxInstances is 2, less than the 3",
        ),
        (with_workload(autoscaling={"kind": "hpa", "cpuPercent": 0}), r"nothing is measured"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_their_path(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        render("model", values)


def test_a_model_is_called_like_its_release_unless_it_has_a_name() -> None:
    values = {key: value for key, value in IRIS.items() if key != "model"}
    assert render("model", values, release="sentiment").one("ModelRoute")["spec"]["model"] == "sentiment"
    with pytest.raises(Refused, match="cannot be a model's name"):
        render("model", values, release="a" * 41)


# pods


def test_pods_are_locked_down() -> None:
    for deployment in render("model", with_version("1.2.0", FETCHED)).of("Deployment"):
        pod = pod_of(deployment)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


@pytest.mark.parametrize(
    ("drain", "grace", "sleep"),
    [({}, 45, 5), ({"preStopSeconds": 0}, 40, None), ({"requestSeconds": 300, "marginSeconds": 30}, 350, 5)],
)
def test_a_pod_gets_as_long_as_its_drain_takes(drain: dict[str, int], grace: int, sleep: int | None) -> None:
    for deployment in render("model", with_workload(drain=drain)).of("Deployment"):
        environment = {one["name"]: one.get("value") for one in container_of(deployment)["env"]}
        assert pod_of(deployment)["terminationGracePeriodSeconds"] == grace
        lifecycle = container_of(deployment).get("lifecycle")
        assert lifecycle == (None if sleep is None else {"preStop": {"sleep": {"seconds": sleep}}})
        served = int(environment["FAIRLEAD_SERVING_DRAIN_S"]) + int(environment["FAIRLEAD_SERVING_FINISH_S"])
        assert served + (sleep or 0) < grace


@pytest.mark.parametrize(("budget", "period", "failures"), [(600, 2, 300), (10, 3, 4), (1, 60, 1)])
def test_the_startup_budget_becomes_a_probe(budget: int, period: int, failures: int) -> None:
    for deployment in render("model", with_workload(startup={"budgetSeconds": budget, "periodSeconds": period})).of(
        "Deployment"
    ):
        probe = container_of(deployment)["startupProbe"]
        assert (probe["failureThreshold"], probe["periodSeconds"]) == (failures, period)
        assert probe["failureThreshold"] * probe["periodSeconds"] >= budget
        assert deployment["spec"]["progressDeadlineSeconds"] > budget


def test_numbers_reach_the_service_as_they_were_written() -> None:
    rendered = render("model", with_workload(serving={"queueBytes": 268435456, "logLevel": "debug"}))
    environment = {one["name"]: one.get("value") for one in container_of(rendered.of("Deployment")[0])["env"]}
    assert environment["FAIRLEAD_SERVING_QUEUE_BYTES"] == "268435456"
    assert environment["FAIRLEAD_SERVING_LOG_LEVEL"] == "debug"


@pytest.mark.parametrize("kind", ["hpa", "external"])
def test_nothing_says_replicas_under_an_autoscaler(kind: str) -> None:
    rendered = render("model", with_workload(autoscaling={"kind": kind}))
    assert all("replicas" not in one["spec"] for one in rendered.of("Deployment"))
    assert len(rendered.of("HorizontalPodAutoscaler")) == (2 if kind == "hpa" else 0)


def test_a_budget_is_there_only_where_it_means_something() -> None:
    assert len(render("model", IRIS).of("PodDisruptionBudget")) == 2
    assert not render("model", with_workload(instances=1)).of("PodDisruptionBudget")
    fewest = render("model", with_workload(podDisruptionBudget={"minAvailable": 0})).of("PodDisruptionBudget")
    assert all(one["spec"]["minAvailable"] == 0 and "maxUnavailable" not in one["spec"] for one in fewest)


def test_one_version_may_differ_from_the_others_even_by_false_and_zero() -> None:
    override = {
        "instances": 5,
        "drain": {"preStopSeconds": 0},
        "podDisruptionBudget": {"enabled": False},
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    version = {"image": {"digest": "sha256:" + "1" * 64}, "overrides": override}
    rendered = render("model", with_version("1.2.0", version))
    by_version = {one["metadata"]["labels"]["fairlead.dev/version"]: one for one in rendered.of("Deployment")}
    odd, usual = by_version["1.2.0"], by_version["1.1.0"]
    assert (odd["spec"]["replicas"], usual["spec"]["replicas"]) == (5, 2)
    assert "lifecycle" not in container_of(odd)
    assert "lifecycle" in container_of(usual)
    assert container_of(odd)["resources"]["limits"] == {"cpu": "1", "memory": "512Mi", "nvidia.com/gpu": 1}
    assert pod_of(odd)["tolerations"] == override["tolerations"]
    budgets = {one["metadata"]["labels"]["fairlead.dev/version"] for one in rendered.of("PodDisruptionBudget")}
    assert budgets == {"1.0.0", "1.1.0"}
    assert rendered.one("ModelRoute")["spec"]["versions"]["1.2.0"]["instances"] == 5


def test_sticky_null_is_said() -> None:
    spec = render("model", {**IRIS, "sticky": None}).one("ModelRoute")["spec"]
    assert spec["sticky"] is None
    assert RouteSpec.model_validate(spec).sticky is None


def test_labels_of_users_never_replace_those_that_the_platform_reads() -> None:
    theirs = {"fairlead.dev/model": "other", "app.kubernetes.io/component": "gateway", "team": "flowers"}
    rendered = render("model", {**with_workload(podLabels=theirs), "commonLabels": theirs})
    plain = render("model", IRIS)
    for one, same in zip(rendered.of("Deployment"), plain.of("Deployment"), strict=True):
        pod, usual = one["spec"]["template"]["metadata"]["labels"], same["spec"]["template"]["metadata"]["labels"]
        assert pod == {**usual, "team": "flowers"}
        assert one["metadata"]["labels"] == {**same["metadata"]["labels"], "team": "flowers"}


# where the model is from


def test_a_fetched_version_is_checked_before_it_is_served() -> None:
    rendered = render("model", with_version("1.2.0", FETCHED))
    [deployment] = [one for one in rendered.of("Deployment") if "initContainers" in pod_of(one)]
    [unpack] = pod_of(deployment)["initContainers"]
    environment = {one["name"]: one["value"] for one in unpack["env"]}
    assert environment["FAIRLEAD_SOURCE"] == FETCHED["source"]["uri"]
    assert environment["FAIRLEAD_SHA256"] == ARTIFACT
    assert unpack["args"] == [(CHARTS / "model/files/fetch.py").read_text()]
    assert container_of(deployment)["args"] == ["serve", environment["FAIRLEAD_FOLDER"]]
    assert {"name": "fetched", "mountPath": "/fetched", "readOnly": True} in container_of(deployment)["volumeMounts"]


def test_a_fetcher_downloads_and_the_chart_still_checks() -> None:
    fetcher = {"image": "amazon/aws-cli:2", "args": ["s3", "cp", "$(FAIRLEAD_SOURCE)", "$(FAIRLEAD_ARCHIVE)"]}
    version = {"artifact": ARTIFACT, "source": {"kind": "init", "uri": "s3://bucket/iris.tar.gz", "fetcher": fetcher}}
    rendered = render("model", with_version("1.2.0", version))
    [deployment] = [one for one in rendered.of("Deployment") if "initContainers" in pod_of(one)]
    download, unpack = pod_of(deployment)["initContainers"]
    assert (download["image"], download["args"]) == (fetcher["image"], fetcher["args"])
    assert {"name": "FAIRLEAD_SOURCE", "value": ""} in unpack["env"]
    assert {"name": "FAIRLEAD_SHA256", "value": ARTIFACT} in unpack["env"]


def test_only_what_the_platform_sends_comes_in_and_nothing_goes_out() -> None:
    policy = render("model", IRIS).one("NetworkPolicy", "iris")
    [rule] = policy["spec"]["ingress"]
    components = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]]
    assert components == ["gateway", "control-plane"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert policy["spec"]["egress"] == []
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_only_pods_that_fetch_may_fetch() -> None:
    rendered = render("model", with_version("1.2.0", FETCHED))
    selector = rendered.one("NetworkPolicy", "iris.fetch")["spec"]["podSelector"]["matchLabels"]
    chosen = {
        one["metadata"]["labels"]["fairlead.dev/version"]
        for one in rendered.of("Deployment")
        if selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
    }
    assert chosen == {"1.2.0"}


# what people see


def test_notes_give_the_next_command_and_warn() -> None:
    plain = notes("model", IRIS)
    assert "kubectl -n default get modelroute iris --watch" in plain
    assert "--set target=<version>" in plain
    assert "WARNING" not in plain
    slow = {"instances": 1, "startup": {"budgetSeconds": 601}}
    risky = notes("model", {"target": "1", "versions": {"1": {"overrides": slow}}})
    assert "WARNING: 1 may load for 601 s, and a release gives up on it after 10m" in risky
    assert "WARNING: 1 has no digest (fairlead/model-iris:1)" in risky
    assert "WARNING: 1 runs once" in risky


def test_helm_test_asks_the_target_through_the_gateway() -> None:
    values = {**IRIS, "target": "1.1.0", "platform": {"release": "edge", "namespace": "serving"}}
    [job] = render("model", values).hooks()
    [container] = job["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["FAIRLEAD_GATEWAY"] == "http://edge-gateway.serving.svc.cluster.local"
    assert environment["FAIRLEAD_VERSION"] == "1.1.0"
    assert container["image"] == f"fairlead/model-iris@{OTHER_DIGEST}"


@pytest.mark.parametrize("mode", ["never", "skipIfMissing", "failIfMissing", "always"])
def test_a_pod_monitor_is_rendered_as_its_mode_says(mode: str) -> None:
    values = {**IRIS, "podMonitor": {"renderMode": mode, "labels": {"release": "prometheus"}}}
    there = render("model", values, apis=["monitoring.coreos.com/v1/PodMonitor"])
    assert len(there.of("PodMonitor")) == (0 if mode == "never" else 1)
    if mode == "failIfMissing":
        with pytest.raises(Refused, match=r"podMonitor\.renderMode is failIfMissing, and the cluster has no"):
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

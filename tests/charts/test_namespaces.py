"""charts/platform with further namespaces: what each gets, that nothing else changes, and quotas."""

from __future__ import annotations

from typing import Any

import pytest

from charts.sample import FACTS
from charts.test_platform_rights import allowed
from fairlead.contracts import labels
from fairlead.control.chart_settings import ChartSettings
from support.helm import HelmFailed, Object, Rendered, notes, pod_of, render

TEAMS = ("team-a", "team-b", "team-c")


def rendered(*names: str, **values: Any) -> Rendered:
    return render("platform", {"namespaces": [{"name": name} for name in names], **values}, namespace="serving")


def of(found: Rendered, namespace: str) -> list[Object]:
    return [one for one in found.objects if one["metadata"].get("namespace") == namespace]


def titles(objects: list[Object]) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in objects}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_further_namespace_gets_the_same_objects_and_no_other_does(count: int) -> None:
    found = rendered(*TEAMS[:count])
    assert {one["metadata"].get("namespace") for one in found.objects} == {None, "serving", *TEAMS[:count]}
    for name in TEAMS[:count]:
        assert titles(of(found, name)) == {
            ("ServiceAccount", "fairlead-control-plane.serving"),
            ("Role", "fairlead-control-plane.serving"),
            ("RoleBinding", "fairlead-control-plane.serving"),
            ("Role", "fairlead-viewer.serving"),
            ("Role", "fairlead-releaser.serving"),
            ("Role", "fairlead-on-call.serving"),
            ("NetworkPolicy", "fairlead-models.serving"),
        }
        assert {one["metadata"]["labels"][labels.PLATFORM] for one in of(found, name)} == {"serving"}


def test_without_further_namespaces_the_platform_is_as_before() -> None:
    [container] = pod_of(rendered().one("Deployment", "fairlead-control-plane"))["containers"]
    assert "FAIRLEAD_NAMESPACES" not in {one["name"] for one in container["env"]}


def test_the_control_plane_is_told_the_namespaces() -> None:
    [container] = pod_of(rendered(*TEAMS).one("Deployment", "fairlead-control-plane"))["containers"]
    told = {one["name"]: one["value"] for one in container["env"] if one["name"] == "FAIRLEAD_NAMESPACES"}
    assert ChartSettings.from_environment(FACTS | told).namespaces == TEAMS


def test_in_a_further_namespace_the_control_plane_may_do_no_more_than_at_home() -> None:
    found = rendered("team-a")
    roles = [one for one in found.of("Role") if one["metadata"]["name"].startswith("fairlead-control-plane")]
    home, further = (next(r for r in roles if r["metadata"]["namespace"] == name) for name in ("serving", "team-a"))
    resources = {(group, one) for rule in home["rules"] for group in rule["apiGroups"] for one in rule["resources"]}
    added = {("coordination.k8s.io", "leases"): {"list"}}
    for group, resource in resources:
        more = allowed(further, group, resource) - allowed(home, group, resource)
        assert more == added.get((group, resource), set()), resource
    assert not allowed(further, "", "configmaps")
    assert not allowed(further, "", "pods/log")
    assert not allowed(further, "", "serviceaccounts")
    named = {
        (*rule["resources"], *rule["resourceNames"]): set(rule["verbs"])
        for rule in further["rules"]
        if "resourceNames" in rule
    }
    name = labels.served_name("fairlead", "serving")
    assert named == {("leases", name): {"get", "update", "patch"}, ("serviceaccounts", name): {"get"}}


def test_the_rights_are_given_to_the_control_planes_account_and_need_no_cluster_role() -> None:
    found = rendered("team-a", controlPlane={"checkGatewayTokens": False})
    bindings = [one for one in of(found, "team-a") if one["kind"] == "RoleBinding"]
    assert [one["subjects"] for one in bindings] == [
        [{"kind": "ServiceAccount", "name": "fairlead-control-plane", "namespace": "serving"}]
    ]
    assert not [one for one in found.objects if one["kind"].startswith("Cluster")]


def test_the_account_in_a_further_namespace_has_no_right_and_names_the_control_planes() -> None:
    found = rendered("team-a")
    [account] = [one for one in of(found, "team-a") if one["kind"] == "ServiceAccount"]
    assert account["metadata"]["annotations"]["fairlead.dev/account"] == "serving:fairlead-control-plane"
    assert account["automountServiceAccountToken"] is False
    subjects = [one for each in found.of("RoleBinding") for one in each["subjects"]]
    assert account["metadata"]["name"] not in {one["name"] for one in subjects}


def test_people_get_roles_in_the_namespace_that_lists_them_only() -> None:
    ada, bob = ({"kind": "User", "name": name} for name in ("ada", "bob"))
    values = {"namespaces": [{"name": "team-a", "releasers": [ada]}, {"name": "team-b", "onCall": [bob]}]}
    found = render("platform", values, namespace="serving")
    given = {
        (one["metadata"]["namespace"], one["roleRef"]["name"], one["subjects"][0]["name"])
        for one in found.of("RoleBinding")
        if "control-plane" not in one["metadata"]["name"]
    }
    assert given == {("team-a", "fairlead-releaser.serving", "ada"), ("team-b", "fairlead-on-call.serving", "bob")}


def test_an_account_of_a_team_is_of_the_teams_namespace_unless_it_says_another() -> None:
    values = {"namespaces": [{"name": "team-a", "releasers": [{"kind": "ServiceAccount", "name": "ci"}]}]}
    [binding] = [
        one
        for one in render("platform", values, namespace="serving").of("RoleBinding")
        if one["metadata"]["name"] == "fairlead-releaser.serving"
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ci", "namespace": "team-a"}]


def test_models_of_a_further_namespace_accept_gateway_and_control_plane_of_the_platform_only() -> None:
    [policy] = [one for one in of(rendered("team-a"), "team-a") if one["kind"] == "NetworkPolicy"]
    [rule] = policy["spec"]["ingress"]
    for peer, component in zip(rule["from"], ("gateway", "control-plane"), strict=True):
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "fairlead"
        assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "serving"}}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy["spec"]


def test_gateways_may_reach_models_of_the_listed_namespaces() -> None:
    policy = rendered("team-a", "team-b").one("NetworkPolicy", "fairlead-gateway")
    models = [
        peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", "serving")
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", ())
        if peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "model"
    ]
    assert models == ["serving", "team-a", "team-b"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("serving",), r"namespaces\[0\]\.name: serving is the platform's own namespace"),
        (("team-a", "team-a"), r"namespaces\[1\]\.name: team-a is listed twice"),
        (("Team_A",), r'namespaces\[0\]\.name: "Team_A" is not a name of a namespace; write lower-case letters'),
    ],
)
def test_a_wrong_list_is_refused_in_words(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(HelmFailed, match=said):
        rendered(*names)


def test_certificates_for_models_of_other_namespaces_need_an_issuer_of_the_cluster() -> None:
    with pytest.raises(HelmFailed, match=r"name a ClusterIssuer .* namespaces\[0\], team-a; or set tls.mode: secrets"):
        rendered("team-a", tls={"mode": "cert-manager"})
    issuer = {"issuerName": "company", "issuerKind": "ClusterIssuer"}
    found = rendered("team-a", tls={"mode": "cert-manager", "certManager": issuer})
    [certificate] = [one for one in of(found, "team-a") if one["kind"] == "Certificate"]
    assert certificate["spec"]["secretName"] == "fairlead-models-tls"
    assert certificate["spec"]["dnsNames"] == ["*.team-a.svc.cluster.local"]
    assert certificate["spec"]["issuerRef"]["kind"] == "ClusterIssuer"


QUOTA = {"pods": 12, "cpu": 20, "memory": "64Gi", "resources": {"nvidia.com/gpu": 4}}
HARD = {"pods": "12", "requests.cpu": "20", "requests.memory": "64Gi", "requests.nvidia.com/gpu": "4"}


def test_a_quota_is_made_where_it_is_asked_for() -> None:
    assert not rendered(*TEAMS).of("ResourceQuota")
    values = {"quota": {"pods": 40}, "namespaces": [{"name": "team-a", "quota": QUOTA}, {"name": "team-b"}]}
    found = render("platform", values, namespace="serving").of("ResourceQuota")
    assert {(one["metadata"]["namespace"], one["metadata"]["name"]): one["spec"]["hard"] for one in found} == {
        ("serving", "fairlead-quota"): {"pods": "40"},
        ("team-a", "fairlead-quota.serving"): HARD,
    }


def test_the_notes_name_every_namespace() -> None:
    values = {"namespaces": [{"name": "team-a"}, {"name": "team-b"}]}
    assert "serves the models of namespace serving, and of team-a, team-b." in notes(
        "platform", values, "--namespace", "serving"
    )


def test_a_platform_in_kube_system_can_serve_no_further_namespace() -> None:
    with pytest.raises(HelmFailed, match="a platform in kube-system can serve no further namespace"):
        render("platform", {"namespaces": [{"name": "team-a"}]}, namespace="kube-system")
    assert render("platform", {}, namespace="kube-system").of("Deployment")

from datetime import UTC, datetime
from itertools import product

from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts.quota_use import Spent
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, RouteSpec, Target, UnreadableRoute, VersionSpec
from fairlead.control.metrics import Metrics
from fairlead.rollout.ports import GatewayState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_new_process_has_metrics_of_its_own_work() -> None:
    metrics = Metrics()
    metrics.ticked(0.002)
    metrics.answered("rds", "new")
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    assert {
        sample.value
        for sample in families["fairlead_control_xds_answers"].samples
        if sample.labels == {"kind": "rds", "answer": "new"} and sample.name.endswith("_total")
    } == {1.0}
    assert control_telemetry.CONTROL_RECONCILE_SECONDS.name in families


def test_every_name_is_declared_once() -> None:
    names = [metric.name for metric in (*control_telemetry.CONTROL_PLANE, *telemetry.MODEL_SERVICE)]
    assert len(names) == len(set(names))
    assert all(metric.name.startswith("fairlead_control_") for metric in control_telemetry.CONTROL_PLANE)


def test_every_declared_answer_to_a_gateway_has_a_series_from_the_start() -> None:
    declared = control_telemetry.CONTROL_XDS_ANSWERS
    samples = next(
        family.samples
        for family in text_string_to_metric_families(Metrics().text().decode())
        if family.name == declared.name.removesuffix("_total")
    )
    found = {(one.labels["kind"], one.labels["answer"]) for one in samples if one.name == declared.name}
    assert found == set(product(declared.values["kind"], declared.values["answer"]))


class OneRoute:
    """A store with one route, whose status is `document`."""

    def __init__(self, document: dict[str, object]) -> None:
        self._document = document

    def routes(self) -> list[Route]:
        spec = RouteSpec(model="iris", versions={"1.0.0": VersionSpec(source="/m")}, target=Target(version="1.0.0"))
        return [Route(name="iris", spec=spec, generation=1, created_at=NOW)]

    def unreadable_routes(self) -> list[UnreadableRoute]:
        return []

    def head(self, route: str) -> Revision | None:
        return None

    def status(self, route: str) -> dict[str, object] | None:
        return self._document


class Leading:
    leading, refused = True, ""


def scraped(**status: object) -> str:
    waiting = {"type": "Progressing", "status": False, "reason": "Waiting"}
    document = {"route": "iris", "observedGeneration": 1, "conditions": [waiting], **status}
    metrics = Metrics()
    metrics.add_state(OneRoute(document), Leading(), gateways=lambda: (), sequence=lambda: 1)
    return metrics.text().decode().replace('fairlead_namespace="default",', "")


STATUS: dict[str, object] = {
    "checks": [
        {"gate": "ready", "verdict": "pass", "reason": "", "numbers": {"ready": 1}},
        {
            "gate": "errors",
            "verdict": "inconclusive",
            "reason": "",
            "numbers": {"log_harm": 1.5, "harm_at": 6.0, "log_safe": -1.0, "safe_at": 4.0},
        },
    ],
    "step": {"number": 2, "of": 3, "enteredAt": "2026-01-01T00:00:00Z", "approved": False},
    "evidence": {"candidate": {"n": 40, "bad": 3}, "stable": {"n": 60, "bad": 1}},
}


class InTeamA(OneRoute):
    """A route of another namespace than the control plane's."""

    def routes(self) -> list[Route]:
        return [one.model_copy(update={"namespace": "team-a"}) for one in super().routes()]


def test_what_is_told_of_a_model_names_its_namespace() -> None:
    waiting = {"type": "Progressing", "status": False, "reason": "Waiting"}
    metrics, gateway = Metrics(), GatewayState("e1", True, {"iris": 4, "gone": 1})
    store = InTeamA({"route": "iris", "observedGeneration": 1, "conditions": [waiting]})
    metrics.add_state(store, Leading(), gateways=lambda: (gateway,), sequence=lambda: 1)
    text = metrics.text().decode()
    assert 'fairlead_control_down{fairlead_namespace="team-a",model="iris"} 0.0' in text
    revision = 'fairlead_control_gateway_revision{fairlead_namespace="team-a",gateway="e1",model="iris"} 4.0'
    assert [line for line in text.splitlines() if line.startswith("fairlead_control_gateway_revision{")] == [revision]


def test_a_rollout_shows_its_step_its_verdicts_and_its_evidence() -> None:
    text = scraped(candidate={"version": "1.1.0", "identity": "0123456789"}, **STATUS)
    assert 'fairlead_control_step{model="iris"} 2.0' in text
    assert 'fairlead_control_verdict{gate="errors",model="iris",verdict="inconclusive"} 1.0' in text
    assert 'fairlead_control_verdict{gate="errors",model="iris",verdict="pass"} 0.0' in text
    assert 'fairlead_control_evidence{gate="errors",model="iris",side="harm"} 0.25' in text
    assert 'fairlead_control_evidence{gate="errors",model="iris",side="safe"} -0.25' in text
    assert 'fairlead_control_evidence{gate="ready"' not in text
    assert 'fairlead_control_counted_requests{model="iris",role="candidate"} 40.0' in text
    assert 'fairlead_control_counted_bad_requests{model="iris",role="candidate"} 3.0' in text


def test_without_a_rollout_there_are_no_series_of_one() -> None:
    text = scraped(candidate=None, **STATUS)
    assert "fairlead_control_condition" in text
    for name in ("step", "verdict", "evidence", "counted_requests", "counted_bad_requests"):
        assert f"fairlead_control_{name}{{" not in text


def test_a_shadow_shows_how_the_answers_of_its_candidate_compare_and_not_those_of_an_earlier_one() -> None:
    stable, candidate, earlier = ({"version": one, "identity": "0123456789"} for one in ("1.0.0", "1.1.0", "1.0.5"))
    compared = [
        {"live": stable, "shadow": candidate, "pairs": {"n": 50, "classChanged": 4, "failed": 1}},
        {"live": stable, "shadow": earlier, "pairs": {"n": 9, "scoreMoved": 9}},
    ]
    text = scraped(stable=stable, candidate=candidate, shadow={"compared": compared}, **STATUS)
    found = {
        outcome: f'fairlead_control_shadow_pairs{{model="iris",outcome="{outcome}"}} {count}' in text
        for outcome, count in {"same": 45.0, "class": 4.0, "failed": 1.0, "schema": 0.0, "score": 0.0}.items()
    }
    assert found == dict.fromkeys(found, True)
    assert "fairlead_control_shadow_pairs{" not in scraped(candidate=candidate, **STATUS)


def test_a_condition_says_why() -> None:
    text = scraped(candidate=None)
    assert 'fairlead_control_condition{condition="Progressing",model="iris",reason="Waiting"} 0.0' in text


def test_every_version_shows_how_many_instances_the_rollout_wants_of_it() -> None:
    ref = {"version": "1.0.0", "identity": "0123456789"}
    text = scraped(candidate=None, wanted=[{"ref": ref, "instances": 3, "present": 2, "reason": "it serves"}])
    assert 'fairlead_control_wanted_instances{identity="0123456789",model="iris",version="1.0.0"} 3.0' in text


def test_a_client_shows_what_it_used_of_its_quotas() -> None:
    metrics = Metrics()
    spent = (Spent("shop", "day", 91, 100), Spent("shop", "month", 91, 2000))
    metrics.add_state(OneRoute({}), Leading(), gateways=lambda: [], sequence=lambda: 1, spent=lambda: spent)
    text = metrics.text().decode()
    assert 'fairlead_control_client_used_requests{client="shop",period="day"} 91.0' in text
    assert 'fairlead_control_client_quota_requests{client="shop",period="month"} 2000.0' in text

"""Scale to zero on a whole platform: a version that nobody uses stops, and a request starts it and is answered."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest

from fairlead.contracts.grpc import INFER, SERVICE
from support.faults import folders
from support.grpc_client import infer, tensor
from support.load.impatient import Ask, ask_together
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import wait_until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    limits = {"after": "2s", "wait": "30s", "requests": 20}
    models = doublers(folder, "1.0.0", "1.1.0", scaleToZero=limits) | doublers(folder, "1.0.0", model="warm")
    # A version whose folder is spoilt after it was deployed never starts again.
    models |= doublers(folder, "1.0.0", model="never", scaleToZero={**limits, "wait": "3s"})
    for name in ("doubler", "never"):
        for version in models[name]["versions"].values():
            version["minInstances"] = 0
    with running_platform(folder, models, grpc=True) as platform:
        yield platform


def predict(platform: Platform, path: str = "/models/doubler/predict", **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", **headers}
    return httpx.post(f"{platform.url}{path}", content=DOUBLER, headers=sent, timeout=40)


def running(platform: Platform, model: str = "doubler") -> set[str]:
    return {name for name in platform.children() if name.startswith(f"{model}-")}


def wait_cold(platform: Platform, model: str = "doubler") -> None:
    wait_until(lambda: not running(platform, model) and platform.programmed(model), f"{model} is cold", within=60)
    assert {ref.version for ref in platform.head(model).table.cold} >= {"1.0.0"}


def test_twenty_first_requests_for_a_cold_model_are_answered_by_it(platform: Platform) -> None:
    wait_cold(platform)
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: predict(platform), range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert {answer.headers["x-model-version"] for answer in answers} == {"1.0.0"}
    assert running(platform) == {name for name in running(platform) if "1.0.0" in name}, "1.1.0 was not asked for"


def test_a_request_that_names_a_version_starts_that_version(platform: Platform) -> None:
    wait_cold(platform)
    assert predict(platform, **{"x-model-version": "1.1.0"}).headers["x-model-version"] == "1.1.0"
    answer = predict(platform, "/models/doubler/versions/1.1.0/predict")
    assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1.1.0")
    assert not any("1.0.0" in name for name in running(platform))


def call(platform: Platform, model: str, *metadata: tuple[str, str]) -> tuple[str, str, str]:
    """The version that answered a call of gRPC; or its code, its sentence and the kind."""
    request = infer(model, tensor("value", "FP64", [1], [21.0])).SerializeToString()
    with grpc.insecure_channel(platform.url.removeprefix("http://")) as channel:
        try:
            _, seen = channel.unary_unary(f"/{SERVICE}/{INFER}").with_call(request, metadata=metadata, timeout=40)
        except grpc.RpcError as error:
            failed: Any = error
            kind = dict(failed.trailing_metadata() or ()).get("fairlead-kind", "")
            return failed.code().name, failed.details(), kind
    return "OK", str(dict(seen.initial_metadata())["x-model-version"]), ""


def test_calls_of_grpc_wait_as_requests_do(platform: Platform) -> None:
    wait_cold(platform)
    with ThreadPoolExecutor(10) as clients:
        named = [()] * 5 + [(("fairlead-model", "doubler"),)] * 5
        answers = list(clients.map(lambda metadata: call(platform, "doubler", *metadata), named))
    assert answers == [("OK", "1.0.0", "")] * 10
    assert call(platform, "doubler", ("fairlead-model", "doubler"), ("x-model-version", "1.1.0")) == ("OK", "1.1.0", "")
    assert call(platform, "warm") == ("OK", "1.0.0", "")


def test_a_call_of_grpc_that_waited_in_vain_gets_the_reason(platform: Platform) -> None:
    wait_cold(platform, "never")
    folders.behave(platform.folder / "models" / "never" / "1.0.0", broken=True)
    try:
        code, sentence, kind = call(platform, "never")
    finally:
        folders.behave(platform.folder / "models" / "never" / "1.0.0")
    assert (code, kind) == ("UNAVAILABLE", "cold")
    assert sentence == "never 1.0.0 is cold, and did not start in 3s"


def test_a_cold_model_is_told_as_ready_and_cold(platform: Platform) -> None:
    wait_cold(platform)
    models = {one["name"]: one for one in httpx.get(f"{platform.url}/models").json()["models"]}
    assert (models["doubler"]["ready"], models["doubler"]["health"]) == (True, "cold")
    assert models["doubler"]["reason"] == "1.0.0 is cold: the next request starts it"
    assert "cold" in platform.command("status")
    assert "cold" in platform.command("wait", "doubler")
    causes = [line.split()[2] for line in platform.command("history", "doubler").splitlines()[1:]]
    assert {"cold", "woken"} <= set(causes)


def test_more_requests_than_may_wait_are_refused_with_the_reason(platform: Platform) -> None:
    wait_cold(platform, "never")
    folders.behave(platform.folder / "models" / "never" / "1.0.0", broken=True)
    ask = Ask(int(platform.url.rpartition(":")[2]), "/models/never/predict", DOUBLER, again=False)
    with ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(ask_together, ask, 40, at_once=40)
        time.sleep(1)
        answer = predict(platform, "/models/never/predict")
        assert {(one.status, one.code, one.retry_after) for one in waiting.result()} == {(503, "cold", "5")}
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    problem = answer.json()
    assert (problem["code"], problem["title"]) == ("cold", "Service Unavailable")
    assert problem["detail"] == "never 1.0.0 is cold, and 20 requests wait for it already"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_model_that_does_not_start_is_refused_with_the_reason_and_clients_that_left_do_not_count(
    platform: Platform,
) -> None:
    wait_cold(platform, "never")
    folders.behave(platform.folder / "models" / "never" / "1.0.0", broken=True)
    with ThreadPoolExecutor(20) as clients:
        assert set(clients.map(lambda _: left_early(platform), range(20))) == {True}
    answer = predict(platform, "/models/never/predict")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "5", "cold")
    assert answer.json()["detail"] == "never 1.0.0 is cold, and did not start in 3s"


def left_early(platform: Platform) -> bool:
    try:
        httpx.post(f"{platform.url}/models/never/predict", content=DOUBLER, timeout=0.5)
    except httpx.ReadTimeout:
        return True
    return False


def test_the_gateway_is_killed_while_requests_wait_and_clients_that_ask_again_are_answered(platform: Platform) -> None:
    wait_cold(platform)
    with ThreadPoolExecutor(10) as clients:
        answers = [clients.submit(asked_again, platform) for _ in range(10)]
        time.sleep(0.15)
        os.kill(platform.children()["gateway"], signal.SIGKILL)
        assert [answer.result() for answer in answers] == [200] * 10


def asked_again(platform: Platform) -> int:
    """The status of the first answer. A connection that is refused or cut off is tried again."""
    for _ in range(100):
        try:
            return predict(platform).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    return 0


def test_the_control_plane_is_killed_while_requests_wait_and_they_are_answered(platform: Platform) -> None:
    wait_cold(platform)
    with ThreadPoolExecutor(10) as clients:
        answers = [clients.submit(predict, platform) for _ in range(10)]
        time.sleep(0.15)  # they reach the gateway; those that do not are held all the same
        os.kill(platform.children()["control-plane"], signal.SIGKILL)
        assert [answer.result().status_code for answer in answers] == [200] * 10


def test_a_restarted_platform_leaves_a_cold_model_cold_until_it_is_asked(platform: Platform) -> None:
    wait_cold(platform)
    platform.stop()
    platform.start()
    assert running(platform) == set()
    assert predict(platform).status_code == 200


def test_a_large_body_waits_with_its_client(platform: Platform) -> None:
    wait_cold(platform)
    padded = DOUBLER[:-1] + b" " * (1 << 20) + b"}"
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{platform.url}/models/doubler/predict", content=padded, headers=headers, timeout=40)
    assert (answer.status_code, answer.json()) == (200, {"value": 42.0}), answer.text

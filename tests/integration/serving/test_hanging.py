"""A model whose predict or load does not return: what its callers, its probes and its log get."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integration.serving.stuck import Stuck
from support import folders
from support.processes import wait_until
from support.service import Service

LIMIT = {"FAIRLEAD_SERVING_CALL_TIMEOUT_S": "1"}
FLAGS = ["--drain-s", "0"]


def test_callers_of_a_predict_that_does_not_return_get_504_and_the_service_recovers_when_it_does(
    tmp_path: Path,
) -> None:
    stuck = Stuck(tmp_path)
    with Service(stuck.folder, log=tmp_path / "log", flags=FLAGS, env=LIMIT) as service, ThreadPoolExecutor(2) as two:
        hung = two.submit(service.predict, {"do": "wait"})
        wait_until(stuck.waits, "the model has begun")
        waiting = two.submit(service.predict, {})
        replies = [hung.result(timeout=10), waiting.result(timeout=10)]
        assert [reply.status for reply in replies] == [504, 503]
        for reply in (*replies, *(service.ask("GET", path) for path in ("/readyz", "/livez", "/v2/health/live"))):
            assert "predict has not returned within 1 s" in reply.json()["detail"]
        assert service.predict({}).status == 503
        assert service.metric("fairlead_model_phase", phase="hanging") == 1
        stuck.release()
        wait_until(lambda: service.answers("/readyz", 200), "it is ready again")
        assert service.ask("GET", "/livez").status == 200
        assert service.predict({}).status == 200
        assert service.metric("fairlead_model_late_calls_total", outcome="returned") == 1
    (line,) = [line for line in service.log_lines() if line["level"] == "error"]
    assert "in obey" in "".join(line["stack"]), "the log says where the call hangs"


def test_a_load_that_does_not_return_is_reported_and_not_ended(tmp_path: Path) -> None:
    stuck = Stuck(tmp_path)
    stuck.load_with("wait")
    limit = {"FAIRLEAD_SERVING_LOAD_TIMEOUT_S": "0.2"}
    service = Service(stuck.folder, log=tmp_path / "log", flags=FLAGS, env=limit)
    with service.start("/readyz", 503).process:
        wait_until(
            lambda: "not ended within 0.2 s" in service.ask("GET", "/readyz").json()["detail"], "it says so", within=10
        )
        assert service.ask("GET", "/livez").status == 200
        stuck.release()
        wait_until(lambda: service.answers("/readyz", 200), "it is ready")


WAITS_FOR_OTHERS = """
import time
from pydantic import BaseModel
import fairlead

class Order(BaseModel):
    number: int

class Done(BaseModel):
    number: int

class Estimator:
    feature_names_in_ = ["number"]
    n_features_in_ = 1

    def predict(self, numbers: list[int]) -> list[int]:
        while any(number != 4711 for number in numbers):
            time.sleep(0.01)
        return numbers

class Waits(fairlead.Model[Order, Done]):
    def load(self, artifact) -> None:
        {loads}

    def predict(self, rows: list[Order]) -> list[Done]:
        return [Done(number=number) for number in Estimator().predict([row.number for row in rows])]
"""
LOADS = {"in the warm-up": "pass", "while the order of its columns is checked": "self.estimator = Estimator()"}


@pytest.mark.parametrize("loads", LOADS.values(), ids=LOADS)
def test_a_made_up_row_that_does_not_return_costs_the_batches_and_not_the_service(tmp_path: Path, loads: str) -> None:
    code = WAITS_FOR_OTHERS.format(loads=loads)
    folder = folders.make(tmp_path / "model", code=code, entry="model:Waits", golden=())
    with Service(folder, log=tmp_path / "log", flags=FLAGS, env=LIMIT) as service:
        assert service.predict({"number": 4711}).json() == {"number": 4711}
        assert service.metric("fairlead_model_batching_enabled", reason="unchecked") == 0
    given_up, off = (line for line in service.log_lines() if line["level"] == "warning")
    assert given_up["reason"] == "made-up row 1 has not returned within 1 s"
    assert "idempotent: false" in given_up["hint"]
    assert (off["message"], given_up["reason"] in off["detail"]) == ("batching is off", True)

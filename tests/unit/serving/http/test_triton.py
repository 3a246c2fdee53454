"""What clients of Triton and KServe ask for besides predictions: configuration, statistics, the repository index."""

from __future__ import annotations

import asyncio
import json

from fairlead.serving.settings import Settings
from support.small_models import ask, running
from unit.serving.http.flowers import FLOWERS, PREDICT, VECTORS, send


def test_the_configuration_has_the_form_of_triton() -> None:
    for path in ("/v2/models/flowers/config", "/v2/models/flowers/versions/1.2.0/config"):
        config = json.loads(send(FLOWERS, path, b"", method="GET").body)
        assert (config["name"], config["max_batch_size"]) == ("flowers", Settings().max_request_rows)
        width = {"name": "width", "data_type": "TYPE_FP64", "dims": [1], "reshape": {"shape": []}}
        assert config["output"][0] == width
        assert config["input"][0] == {**width, "optional": False}
    assert json.loads(send(VECTORS, "/v2/models/flowers/config", b"", method="GET").body)["input"][0]["dims"] == [3]


def test_the_statistics_count_what_was_answered() -> None:
    async def check() -> None:
        async with running(FLOWERS) as app:
            for body in (b"[[1.5, 3], [2.5, 4]]", b'{"width": 1.5, "petals": 3}', b"{}"):
                await ask(app, "POST", PREDICT, body)
            for path in ("/v2/models/flowers/stats", "/v2/models/flowers/versions/1.2.0/stats", "/v2/models/stats"):
                (stats,) = json.loads((await ask(app, "GET", path)).body)["model_stats"]
                assert (stats["name"], stats["version"]) == ("flowers", "1.2.0")
                assert (stats["inference_count"], stats["execution_count"]) == (3, 2)
                durations = stats["inference_stats"]
                assert [durations[name]["count"] for name in ("success", "fail", "compute_infer")] == [2, 1, 2]
                assert durations["success"]["ns"] >= durations["compute_infer"]["ns"] > 0

    asyncio.run(check())


def test_the_repository_index_has_the_one_model_and_its_state() -> None:
    reply = send(FLOWERS, "/v2/repository/index", b"")
    assert json.loads(reply.body) == [{"name": "flowers", "version": "1.2.0", "state": "READY", "reason": ""}]


def test_the_client_of_kserve_v1_finds_the_server_alive() -> None:
    assert json.loads(send(FLOWERS, "/", b"", method="GET").body) == {"status": "alive"}

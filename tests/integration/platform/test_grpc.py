"""A rollout whose users all send gRPC: a real platform, its own counters, and the decisions that follow from them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from fairlead.contracts.grpc import INFER, SERVICE
from fairlead.contracts.revision import Cause
from support.faults import folders
from support.grpc_client import infer, tensor
from support.platform import doublers, running_platform

STRATEGY = {"steps": [{"weight": 3000, "minDuration": "60s"}], "minRequests": 0}


@contextmanager
def calls(address: str) -> Iterator[Counter[str]]:
    """About a hundred calls a second, each of a new user, during the block. Yields how often each code was answered."""
    seen: Counter[str] = Counter()
    ended = threading.Event()
    body = infer("doubler", tensor("value", "FP64", [1], [21.0])).SerializeToString()

    def run() -> None:
        with grpc.insecure_channel(address) as channel:
            predict = channel.unary_unary(f"/{SERVICE}/{INFER}")
            while not ended.wait(0.01):
                metadata = (("fairlead-model", "doubler"), ("x-user-id", f"user-{seen.total()}"))
                try:
                    predict(body, metadata=metadata, timeout=10)
                    seen["OK"] += 1
                except grpc.RpcError as error:
                    seen[error.code().name] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def test_a_candidate_that_fails_over_grpc_is_rolled_back_by_the_evidence_and_no_user_sees_it(tmp_path: Path) -> None:
    models = doublers(tmp_path, "1.0.0", "1.1.0", strategy=STRATEGY)
    with running_platform(tmp_path, models, grpc=True) as platform, calls(platform.url.removeprefix("http://")) as seen:
        platform.command("release", "doubler", "1.1.0")
        platform.wait_for("doubler", "the candidate has its share", weight=3000)
        folders.behave(tmp_path / "models" / "doubler" / "1.1.0", fail=0.5)
        platform.process.wait_until(
            lambda: platform.head("doubler").cause is Cause.ROLLED_BACK, "it is rolled back", within=60
        )
    head = platform.head("doubler")
    assert "errors: 1.1.0 fails more often than 1.0.0: " in head.reason
    assert seen.keys() == {"OK"}

"""What is counted for drift, how, and what bounds it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts import drift_telemetry
from fairlead.contracts.profile import Profile
from fairlead.profile import bins
from fairlead.profile.vectors import VectorSums, vector_feature
from fairlead.serving.app import App
from fairlead.serving.inference.batch import Batch, Part, Ticket
from fairlead.serving.observe import drift
from fairlead.serving.observe.drift import Drift
from fairlead.serving.settings import Settings
from support import profiles
from support.small_models import Point, Served, Sum, ask, manifest, running


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def counting(profile: Profile | None = None, per_byte: int = 4, *, row: int = 1000, has_files: bool = False) -> Drift:
    memory = SimpleNamespace(row=row, per_byte=per_byte, has_files=has_files)
    return Drift("adder", "1.2.0", profile or profiles.of_points(), Sum, memory)


def ended(*requests: Sequence[Point], size: int = 10, failed: bool = False) -> Batch:
    """A batch that has returned, with one part per request."""
    loop = SimpleNamespace(get_debug=lambda: False)
    tickets = [Ticket(rows, size, 0, asyncio.Future(loop=loop)) for rows in requests]  # type: ignore[arg-type]
    batch = Batch([Part(ticket, 0, ticket.rows) for ticket in tickets], list, float, SimpleNamespace())  # type: ignore[arg-type]
    answer: Any = ValueError("no answer")
    batch.outcomes = [
        answer
        if failed
        else [Sum(total=(row.x if isinstance(row.x, float) else 0) + row.y + row.n, kind=row.kind) for row in rows]
        for rows in requests
    ]
    return batch


def kept(one: Drift, *batches: Batch) -> str:
    """The metrics after these batches."""

    async def text() -> bytes:
        assert one.keep is not None
        for batch in batches:
            one.keep(batch)
        try:
            return await one.text()
        finally:
            one.close()

    text_now: bytes = run(text())
    return text_now.decode()


points = st.builds(Point, x=st.floats(-20, 20), kind=st.sampled_from(["a", "b"]))


@settings(max_examples=30)
@given(st.lists(st.lists(points, min_size=1, max_size=4), max_size=8))
def test_counts_are_those_of_numpy_on_the_same_rows(requests: list[list[Point]]) -> None:
    text = kept(counting(), *[ended(rows) for rows in requests])
    rows = [row for request in requests for row in request]
    x = bins.count_numbers(profiles.X_EDGES, np.array([row.x for row in rows]))
    total = bins.count_numbers(profiles.TOTAL_EDGES, np.array([row.x + 1 for row in rows]))
    assert list(profiles.values(text, "x").values()) == x.tolist()
    assert list(profiles.values(text, "prediction").values()) == total.tolist()
    kinds = [row.kind for row in rows]
    assert profiles.values(text, "kind") == {
        "a": kinds.count("a"), "b": kinds.count("b"), "other": 0, "new": 0, "na": 0
    }  # fmt: skip
    found = profiles.samples(text)
    assert found["drift_rows_total", ()] == len(rows)
    assert found["drift_requests_total", ()] == len(requests)


def test_exactly_the_declared_families_are_exposed_with_their_labels_and_all_bins_from_the_start() -> None:
    profile = profiles.of_points()
    text = kept(counting(profile))
    exposed = {family.name: family for family in text_string_to_metric_families(text)}
    declared = {metric.name.removesuffix("_total"): metric for metric in drift_telemetry.MODEL_DRIFT}
    assert list(exposed) == list(declared)
    for name, metric in declared.items():
        assert (exposed[name].type, exposed[name].documentation) == (metric.kind, metric.help)
        assert {tuple(sample.labels) for sample in exposed[name].samples} == {metric.labels}
    for name in ("drift_values_total", "drift_reference_values"):
        places = [labels for found, labels in profiles.samples(text) if found == name]
        assert places == [(one.name, place) for one in profile.every for place in one.bins]


def test_the_reference_is_exposed_with_its_rows_and_its_critical_values() -> None:
    found = profiles.samples(kept(counting()))
    assert found["drift_reference_values", ("kind", "a")] == 10
    assert found["drift_reference_rows", ("x",)] == 10
    assert found["drift_critical", ("x",)] == pytest.approx(18.466827)  # chi-squared with 4 degrees of freedom


def test_a_service_without_a_profile_says_so_and_keeps_nothing() -> None:
    one = Drift("adder", "1.2.0", None, Sum, SimpleNamespace(row=1, per_byte=1, has_files=False))
    assert one.keep is None
    assert profiles.samples(run(one.text()).decode()) == {("profile_info", ("", "", "none", "none")): 1}
    one.close()


def test_rows_without_an_answer_are_not_counted() -> None:
    found = profiles.samples(kept(counting(), ended([Point(x=1)], failed=True), ended([Point(x=2)])))
    assert (found["drift_rows_total", ()], found["drift_requests_total", ()]) == (1, 1)


def test_ten_thousand_unknown_categories_make_no_new_series() -> None:
    unknown: list[Any] = [f"made up {number}" for number in range(10_000)]
    rows = [Point.model_construct(x=1.0, y=0.0, n=1, kind=kind) for kind in unknown]
    before = kept(counting())
    after = kept(counting(), *[ended(rows[start : start + 64]) for start in range(0, 1024, 64)])
    assert profiles.samples(before).keys() == profiles.samples(after).keys()
    assert profiles.values(after, "kind")["new"] == 1024


def test_when_enough_rows_are_kept_whole_batches_are_skipped_and_their_rows_counted() -> None:
    batches = [ended([Point(x=1)] * 100) for _ in range(50)]
    found = profiles.samples(kept(counting(), *batches))
    assert found["drift_rows_total", ()] == 1000
    assert found["drift_skipped_rows_total", ()] == 4000


def test_rows_that_need_much_memory_are_skipped_sooner() -> None:
    large = [ended([Point(x=1)], size=drift.MAX_BYTES // 8) for _ in range(5)]
    found = profiles.samples(kept(counting(per_byte=4), *large))
    assert (found["drift_rows_total", ()], found["drift_skipped_rows_total", ()]) == (1, 4)


def test_the_pixels_of_files_are_weighed_once() -> None:
    row = drift.MAX_BYTES // 10
    batches = [ended([Point(x=1)], size=row) for _ in range(12)]
    for batch in batches:
        batch.parts[0].ticket.memory = row
    found = profiles.samples(kept(counting(row=row, has_files=True), *batches))
    assert (found["drift_rows_total", ()], found["drift_skipped_rows_total", ()]) == (10, 2)


def test_a_part_of_a_large_request_needs_its_share_of_the_memory() -> None:
    ticket = ended([Point(x=1)] * 8).parts[0].ticket
    ticket.memory = drift.MAX_BYTES + len(ticket.rows)
    parts = [Part(ticket, start, ticket.rows[start : start + 1]) for start in range(8)]
    batches = []
    for part in parts:
        batch = ended(part.rows)
        batch.parts = [part]
        batches.append(batch)
    found = profiles.samples(kept(counting(), *batches))
    assert (found["drift_rows_total", ()], found["drift_requests_total", ()]) == (7, 1)


def test_a_row_that_cannot_be_counted_has_failed_and_was_not_skipped_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Point(x=1)
    batches = [ended([broken]), ended([Point(x=1)])]
    del broken.__dict__["x"]
    found = profiles.samples(kept(counting(), *batches))
    assert (found["drift_rows_total", ()], found["drift_failed_rows_total", ()]) == (0, 2)
    assert found["drift_skipped_rows_total", ()] == 0
    assert [line.levelname for line in caplog.records] == ["ERROR"]


def test_what_is_kept_is_counted_after_a_while_without_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PERIOD_S", 0.01)

    async def check() -> None:
        one = counting()
        assert one.keep is not None
        for _ in range(3):
            one.keep(ended([Point(x=1)] * 1000))
            async with asyncio.timeout(10):
                while one._rows or one._counting:
                    await asyncio.sleep(0.001)
        found = profiles.samples((await one.text()).decode())
        assert (found["drift_rows_total", ()], found["drift_skipped_rows_total", ()]) == (3000, 0)
        one.close()

    run(check())


def test_labels_are_escaped() -> None:
    odd = bins.number_feature('a"b\\c\n%d', "x", profiles.X_EDGES, np.arange(10.0))
    text = kept(counting(profiles.of_points(features=(odd,), answers=())), ended([Point(x=1)]))
    assert profiles.values(text, 'a"b\\c\n%d')["00"] == 1


def binary(rows: Sequence[float]) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": "FP64",
                    "shape": [len(rows)],
                    "parameters": {"binary_data_size": 8 * len(rows)},
                }
            ]
        }
    ).encode()
    return head + np.array(rows, dtype=np.float64).tobytes(), {"inference-header-content-length": str(len(head))}


def test_every_protocol_is_counted_and_golden_rows_are_not() -> None:
    async def check() -> None:
        served = Served(profile=profiles.of_points(), manifest=manifest(batching={"max_rows": 4}))
        async with running(served, Settings(max_request_rows=100)) as app:
            assert (await counted(app))[0] == {"lo": 0, "00": 0, "01": 0, "hi": 0, "na": 0}
            v2 = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [3, 99]}]}
            body, headers = binary([3, 99])
            for path, sent, more in (
                ("/predict", b'{"x": 3}', {}),
                ("/predict", b'[{"x": 3}, {"x": 99}]', {}),
                ("/v1/models/adder:predict", b'{"instances": [{"x": 3}, {"x": 99}]}', {}),
                ("/v2/models/adder/infer", json.dumps(v2).encode(), {}),
                ("/v2/models/adder/infer", body, headers),
                ("/predict", json.dumps([{"x": 3}] * 10).encode(), {}),
                ("/predict", b'{"x": "no number"}', {}),
                ("/predict", b'{"x": 13}', {}),
            ):
                reply = await ask(app, "POST", path, sent, more)
                assert reply.status in (200, 422, 500), reply
            x, requests = await counted(app)
            assert x == {"lo": 0, "00": 5 + 10, "01": 0, "hi": 4, "na": 0}
            assert requests == 6

    run(check())


async def counted(app: App) -> tuple[dict[str, int], float]:
    """The bins of x, and the requests."""
    reply = await ask(app, "GET", "/metrics/drift")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    return dict(profiles.values(text, "x")), profiles.samples(text)["drift_requests_total", ()]


def sliced() -> Profile:
    high = [[0, 0, 5, 0, 0], [5, 0, 0, 0, 0], [0, 1, 4, 0, 0]]
    bs = [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    parts = [
        {"name": "high", "field": "x", "values": [], "start": 5.0, "rows": 5, "counts": high},
        {"name": "bs", "field": "kind", "values": ["b"], "rows": 1, "counts": bs},
    ]
    return Profile.model_validate(profiles.of_points().to_json() | {"slices": parts})


@settings(max_examples=30)
@given(st.lists(st.lists(points, min_size=1, max_size=4), max_size=8))
def test_the_rows_of_a_slice_and_the_requests_that_have_one_are_counted_by_themselves(
    requests: list[list[Point]],
) -> None:
    text = kept(counting(sliced()), *[ended(rows) for rows in requests])
    found = profiles.samples(text)
    parts = (
        ("high", [[row for row in rows if row.x >= 5] for rows in requests]),
        ("bs", [[row for row in rows if row.kind == "b"] for rows in requests]),
    )
    for name, mine in parts:
        x = bins.count_numbers(profiles.X_EDGES, np.array([row.x for rows in mine for row in rows]))
        total = bins.count_numbers(profiles.TOTAL_EDGES, np.array([row.x + 1 for rows in mine for row in rows]))
        assert list(profiles.values(text, "x", name).values()) == x.tolist()
        assert list(profiles.values(text, "prediction", name).values()) == total.tolist()
        assert found["drift_requests_total", (name,)] == sum(map(bool, mine))
    assert found["drift_requests_total", ()] == len(requests)


def test_the_reference_of_a_slice_is_exposed_beside_that_of_all_rows() -> None:
    found = profiles.samples(kept(counting(sliced())))
    assert found["drift_reference_values", ("x", "01", "high")] == 5
    assert found["drift_reference_rows", ("x", "high")] == 5
    assert found["drift_reference_rows", ("x",)] == 10
    assert found["drift_requests_total", ("bs",)] == 0


def test_a_request_that_was_split_is_one_request_of_its_slice() -> None:
    ticket = ended([Point(x=7)] * 8).parts[0].ticket
    batches = []
    for start in range(8):
        batch = ended([Point(x=7)])
        batch.parts = [Part(ticket, start, ticket.rows[start : start + 1])]
        batches.append(batch)
    found = profiles.samples(kept(counting(sliced()), *batches))
    assert (found["drift_requests_total", ("high",)], found["drift_values_total", ("x", "01", "high")]) == (1, 8)


def test_the_waves_of_vectors_are_summed_and_exposed_beside_the_reference() -> None:
    random = np.random.default_rng(1)
    profile = profiles.of_points(features=(), answers=())
    made = vector_feature("x", "x", random.standard_normal((50, 40)))
    assert made is not None
    drawn: list[Any] = random.standard_normal((30, 40)).tolist()
    rows = [Point.model_construct(x=vector) for vector in drawn]
    nowhere: Any = [float("nan")] * 40
    broken = Point.model_construct(x=nowhere)
    text = kept(counting(profile.model_copy(update={"vectors": (made,)})), ended(rows), ended([broken]))
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {metric.name.removesuffix("_total") for metric in drift_telemetry.MODEL_VECTORS} <= families
    found = profiles.samples(text)
    sums = VectorSums([made])([{"x": row.x} for row in rows])
    assert [found["drift_directions_total", ("x", f"{way:03}")] for way in range(128)] == pytest.approx(sums[:-1])
    assert found["drift_vectors_total", ("x",)] == 30
    assert found["drift_rows_total", ()] == 31
    assert found["drift_reference_directions", ("x", "007")] == made.means[7]
    assert found["drift_reference_vectors", ("x",)] == 50
    assert found["drift_vector_critical", ("x",)] == made.critical

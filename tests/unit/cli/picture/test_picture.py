"""The picture of an attempt: its data, as blocks in a terminal, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.picture import svg, terminal
from fairlead.cli.picture.attempt import Attempt, GateLine, newest
from fairlead.contracts.revision import Cause, Check, Counts, GateEvidence, Phase, Revision, State, Verdict, Window
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STABLE, CANDIDATE = (VersionSpec().ref(version) for version in ("1.0.0", "1.1.0"))
ENOUGH = math.log(300)
SVG = "{http://www.w3.org/2000/svg}"


def a_window(at: int, *, errors: float = 0.0, gap: str | None = None, weight: int = 1000) -> Window:
    counts = {} if gap else {"candidate": Counts(n=10), "stable": Counts(n=90)}
    said = (GateEvidence(gate="errors", log_harm=errors, log_safe=-1.0), GateEvidence(gate="starved"))
    end = START + timedelta(seconds=5 * at + 5)
    return Window(start=end - timedelta(seconds=5), end=end, weight=weight, gap=gap, evidence=said, **counts)


def a_check() -> Check:
    numbers = {"log_harm": 6.0, "harm_at": ENOUGH, "log_safe": -1.0, "safe_at": math.log(20)}
    return Check(gate="errors", verdict=Verdict.FAIL, reason="made for the test", numbers=numbers)


def a_revision(seq: int, cause: Cause, *, attempt: int = 1, at: float = 0, **more: Any) -> Revision:
    weight = more.pop("weight", 0)
    pins = (STABLE, CANDIDATE) if weight else (STABLE,)
    return Revision(
        route="iris",
        seq=seq,
        cause=cause,
        generation=1,
        table=Table(model="iris", stable=STABLE, candidate=CANDIDATE if weight else None, weight=weight, pins=pins),
        state=State(target=STABLE, entered_at=START, attempt=attempt, phase=more.pop("phase", Phase.STABLE)),
        created_at=START + timedelta(seconds=at),
        **more,
    )


def rolled_back(windows: Sequence[Window]) -> list[Revision]:
    """One attempt: released, 10 % of the traffic, rolled back with these windows."""
    return [
        a_revision(1, Cause.RELEASED, phase=Phase.PREPARING),
        a_revision(2, Cause.STEP, phase=Phase.CANARY, weight=1000),
        a_revision(3, Cause.ROLLED_BACK, at=5 * len(windows), windows=tuple(windows), evidence=(a_check(),)),
    ]


def an_attempt(*errors: float, gap_at: int | None = None) -> Attempt:
    windows = [a_window(at, errors=one, gap="no gateway" if at == gap_at else None) for at, one in enumerate(errors)]
    found = newest("iris", rolled_back(windows), (), ())
    assert found is not None
    return found


class TestTheAttempt:
    def test_each_gate_is_a_line_with_its_threshold(self) -> None:
        errors, starved = an_attempt(0.5, 6.0).harm
        assert (errors.gate, errors.log_e, errors.threshold, errors.is_reached) == ("errors", (0.5, 6.0), ENOUGH, True)
        assert (starved.gate, starved.threshold, starved.is_reached) == ("starved", None, False)
        assert (errors.describe(), starved.describe()) == ("403 to 1, 300 is enough", "1 to 1")

    def test_steps_and_the_rollback_are_marked(self) -> None:
        assert [mark.what for mark in an_attempt(0.5, 6.0).marks] == ["10 %", "rolled back"]

    def test_windows_stored_in_a_release_belong_to_the_attempt_before(self) -> None:
        old = a_revision(4, Cause.RELEASED, attempt=2, windows=(a_window(0), a_window(1)))
        found = newest("iris", [old], (), ())
        assert found is not None
        assert (found.number, len(found.windows)) == (1, 2)

    def test_windows_since_the_head_belong_to_the_newest_attempt(self) -> None:
        head = a_revision(5, Cause.STEP, attempt=2, phase=Phase.CANARY, weight=1000)
        found = newest("iris", [*rolled_back([a_window(0)]), head], [a_window(9, errors=1.0)], [a_check()])
        assert found is not None
        assert (found.number, found.harm[0].log_e, found.harm[0].threshold) == (2, (1.0,), ENOUGH)

    def test_a_gap_that_was_recovered_later_is_not_drawn(self) -> None:
        gaps, replayed = [a_window(at, gap="away") for at in (1, 2, 3)], [a_window(at, errors=at) for at in (1, 2)]
        found = newest("iris", rolled_back([a_window(0), *gaps, *replayed, a_window(4)]), (), ())
        assert found is not None
        assert [one.gap for one in found.windows] == [None] * 4
        assert [one.end for one in found.windows] == sorted(one.end for one in found.windows)

    def test_without_windows_there_is_nothing_to_draw(self) -> None:
        assert newest("iris", [a_revision(1, Cause.CREATED, attempt=0)], (), ()) is None


class TestTheTerminal:
    def test_a_block_is_full_only_where_the_threshold_is_reached(self) -> None:
        drawn = terminal.draw(an_attempt(-2.0, 0.0, ENOUGH / 2, ENOUGH - 0.01, ENOUGH)).plain.splitlines()
        errors = next(line for line in drawn if line.startswith("errors"))
        assert errors.split() == ["errors", "▁▁▄▇█", "300", "to", "1,", "300", "is", "enough"]

    def test_a_gap_looks_different_from_a_window_without_evidence(self) -> None:
        drawn = terminal.draw(an_attempt(0.0, 0.0, 0.0, gap_at=1)).plain
        assert "▁·▁" in drawn

    def test_many_windows_share_columns_and_every_peak_is_shown(self) -> None:
        drawn = terminal.draw(an_attempt(*[0.0] * 100, 9.0, *[0.0] * 139)).plain.splitlines()
        errors = next(line for line in drawn if line.startswith("errors"))
        assert errors.count("█") == 1
        assert max(map(len, drawn)) <= 120


class TestTheSvg:
    def test_it_has_a_line_per_gate_and_the_thresholds_weights_and_marks(self) -> None:
        root = ElementTree.fromstring(svg.draw(an_attempt(0.5, 3.0, 6.0)))
        texts = [element.text for element in root.iter(f"{SVG}text")]
        assert len(list(root.iter(f"{SVG}polyline"))) == 2 + 2 + 1
        assert {"300 is enough", "20 is enough", "errors: 403", "10 %", "rolled back", "weight"} <= set(texts)

    def test_a_gap_is_shaded_with_its_reason_as_title(self) -> None:
        root = ElementTree.fromstring(svg.draw(an_attempt(0.0, 0.0, gap_at=1)))
        assert "no gateway" in [element.text for element in root.iter(f"{SVG}title")]

    def test_markup_in_a_name_is_escaped(self) -> None:
        attempt = an_attempt(0.0)
        line = GateLine("<script>", (0.0,), ENOUGH)
        drawn = svg.draw(Attempt("a&b", 1, attempt.windows, (line,), (), ()))
        assert "<script>" not in drawn
        assert ElementTree.fromstring(drawn) is not None

    @given(st.lists(st.floats(-400, 400), min_size=1, max_size=30))
    def test_every_point_of_a_line_is_inside_the_image(self, values: list[float]) -> None:
        root = ElementTree.fromstring(svg.draw(an_attempt(*values)))
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter(f"{SVG}polyline"):
            places = [tuple(map(float, place.split(","))) for place in element.attrib["points"].split()]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in places)

    @pytest.mark.parametrize("power", [1, 5])
    def test_the_same_windows_give_the_same_bytes(self, power: int) -> None:
        assert svg.draw(an_attempt(*range(power))) == svg.draw(an_attempt(*range(power)))

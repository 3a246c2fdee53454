"""The picture of an attempt: its data, as blocks in a terminal, and as SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs import evidence_picture
from fairlead.cli.picture import terminal
from fairlead.contracts.revision import Cause, Check, Phase, Revision, State, Verdict
from fairlead.contracts.route import VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, GateEvidence, Window
from fairlead.views import evidence_svg as svg
from fairlead.views import labels
from fairlead.views.attempt import Attempt, attempts

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STABLE, CANDIDATE = (VersionSpec().ref(version) for version in ("1.0.0", "1.1.0"))
ENOUGH = math.log(300)
SVG = "{http://www.w3.org/2000/svg}"


def a_window(at: float, *, errors: float = 0.0, gap: str | None = None, weight: int = 1000, more: int = 0) -> Window:
    """`more` gates besides `errors` and `starved` have the same evidence as `errors`."""
    counts: dict[str, Counts] = {} if gap else {"candidate": Counts(n=10), "stable": Counts(n=90)}
    same = (GateEvidence(gate=f"gate-{number}", log_harm=errors, log_safe=-1.0) for number in range(more))
    said = (GateEvidence(gate="errors", log_harm=errors, log_safe=-1.0), GateEvidence(gate="starved"), *same)
    end = START + timedelta(seconds=5 * at + 5)
    return Window(start=end - timedelta(seconds=5), end=end, weight=weight, gap=gap, evidence=said, **counts)


def a_check() -> Check:
    numbers = {"log_harm": 6.0, "harm_at": ENOUGH, "log_safe": -1.0, "safe_at": math.log(20)}
    return Check(gate="errors", verdict=Verdict.FAIL, reason="made for the test", numbers=numbers)


def a_revision(
    seq: int,
    cause: Cause,
    *,
    attempt: int = 1,
    at: float = 0,
    weight: int = 0,
    stable: VersionRef = STABLE,
    phase: Phase = Phase.STABLE,
    state: dict[str, Any] | None = None,
    **more: Any,
) -> Revision:
    pins = (stable, CANDIDATE) if weight else (stable,)
    return Revision(
        route="iris",
        seq=seq,
        cause=cause,
        generation=1,
        table=Table(model="iris", stable=stable, candidate=CANDIDATE if weight else None, weight=weight, pins=pins),
        state=State(target=CANDIDATE, entered_at=START, attempt=attempt, phase=phase, **(state or {})),
        created_at=START + timedelta(seconds=at),
        **more,
    )


def released(seq: int = 1, **more: Any) -> Revision:
    return a_revision(seq, Cause.RELEASED, phase=Phase.PREPARING, actor="alice", reason="better", **more)


def stepped(seq: int, weight: int = 1000, **more: Any) -> Revision:
    return a_revision(seq, Cause.STEP, phase=Phase.CANARY, weight=weight, **more)


def promoted(seq: int, windows: Sequence[Window], **more: Any) -> Revision:
    after: dict[str, Any] = {"previous": STABLE, "previous_revision": seq - 1}
    return a_revision(seq, Cause.PROMOTED, stable=CANDIDATE, windows=tuple(windows), state=after, **more)


def rolled_back(windows: Sequence[Window]) -> list[Revision]:
    """One attempt: released, 10 % of the traffic, rolled back with these windows."""
    end: dict[str, Any] = {"at": 5 * len(windows), "windows": tuple(windows), "evidence": (a_check(),)}
    return [released(), stepped(2), a_revision(3, Cause.ROLLED_BACK, reason="errors: too many", **end)]


def rolled_back_after_promotion(seconds: float, **by: Any) -> list[Revision]:
    """The story of README.md: released, two steps, promoted after 20 s, and rolled back by a person."""
    windows = [a_window(at, errors=-0.1 * at, weight=1000 if at < 2 else 5000) for at in range(4)]
    steps = [stepped(2, at=0.5, windows=windows[:1]), stepped(3, 5000, at=10, windows=windows[1:2])]
    person: dict[str, Any] = {"actor": "bob", "reason": "customer complaints", **by}
    back = a_revision(5, Cause.ROLLED_BACK, at=20 + seconds, **person)
    return [released(), *steps, promoted(4, windows[2:], at=20, reason="passed every step"), back]


def newest(revisions: Sequence[Revision], since: Sequence[Window] = (), checks: Sequence[Check] = ()) -> Attempt:
    return attempts("iris", revisions, since, checks)[-1]


def an_attempt(*errors: float, gap_at: int | None = None, more: int = 0) -> Attempt:
    gaps = ["no gateway" if at == gap_at else None for at in range(len(errors))]
    windows = [
        a_window(at, errors=one, gap=gap, more=more) for at, (one, gap) in enumerate(zip(errors, gaps, strict=True))
    ]
    return newest(rolled_back(windows))


class TestTheAttempt:
    def test_each_gate_is_a_line_with_its_threshold(self) -> None:
        errors, starved = an_attempt(0.5, 6.0).harm
        assert (errors.gate, errors.log_e, errors.threshold, errors.is_reached) == ("errors", (0.5, 6.0), ENOUGH, True)
        assert (starved.gate, starved.threshold, starved.is_reached) == ("starved", None, False)
        assert (errors.describe("rolls back"), starved.describe("rolls back")) == ("403 (300 rolls back)", "1")

    def test_every_change_has_its_actor_reason_and_the_weight_that_it_leaves(self) -> None:
        events = newest(rolled_back_after_promotion(3)).events
        assert [(event.what, event.weight) for event in events] == [
            ("released", 0),
            ("10 %", 1000),
            ("50 %", 5000),
            ("promoted", 10_000),
            ("rolled back", 0),
        ]
        assert [(event.actor, event.reason) for event in (events[0], events[-1])] == [
            ("alice", "better"),
            ("bob", "customer complaints"),
        ]
        assert [event.what for event in events if event.is_end] == ["promoted", "rolled back"]

    @pytest.mark.parametrize(
        "revisions", [rolled_back([a_window(0)]), rolled_back_after_promotion(3), rolled_back_after_promotion(3)[3:]]
    )
    def test_it_names_the_versions_that_were_compared(self, revisions: list[Revision]) -> None:
        found = newest(revisions)
        assert (found.stable, found.candidate) == ("1.0.0", "1.1.0")
        assert found.title == "iris, attempt 1: 1.0.0 -> 1.1.0"

    def test_pauses_approvals_and_a_changed_spec_are_events(self) -> None:
        running: dict[str, Any] = {"phase": Phase.CANARY, "weight": 1000}
        changes = [
            released(),
            stepped(2),
            a_revision(3, Cause.ACTION, state={"paused": True}, **running),
            a_revision(4, Cause.ACTION, **running),
            a_revision(5, Cause.ACTION, state={"approved": 0}, **running),
            a_revision(6, Cause.SPEC, state={"approved": 0}, **running),
            a_revision(7, Cause.SPEC),
        ]
        said = [event.what for event in newest(changes).events]
        assert said == ["released", "10 %", "paused", "resumed", "approved", "spec changed", "withdrawn"]

    def test_a_release_during_a_rollout_ends_that_attempt_and_stores_its_windows(self) -> None:
        first, second = attempts(
            "iris", [released(), stepped(2), released(3, attempt=2, windows=(a_window(0),))], (), ()
        )
        assert (first.number, len(first.windows), first.led_to) == (1, 1, ("iris.3",))
        assert first.end is not None
        assert first.end.what == "replaced by another release"
        assert (second.number, second.windows, second.end) == (2, (), None)

    def test_windows_since_the_head_belong_to_the_newest_attempt(self) -> None:
        head = stepped(5, attempt=2)
        first, second = attempts("iris", [*rolled_back([a_window(0)]), head], [a_window(9, errors=1.0)], [a_check()])
        assert (first.number, first.led_to) == (1, ("iris.3",))
        assert (second.number, second.led_to) == (2, ("",))
        assert (second.harm[0].log_e, second.harm[0].threshold) == ((1.0,), ENOUGH)

    def test_a_gap_that_was_recovered_later_is_not_drawn(self) -> None:
        gaps, replayed = [a_window(at, gap="away") for at in (1, 2, 3)], [a_window(at, errors=at) for at in (1, 2)]
        found = newest(rolled_back([a_window(0), *gaps, *replayed, a_window(4)]))
        assert [one.gap for one in found.windows] == [None] * 4
        assert [one.end for one in found.windows] == sorted(one.end for one in found.windows)

    def test_a_model_that_was_never_released_has_no_attempt(self) -> None:
        assert attempts("iris", [a_revision(1, Cause.CREATED, attempt=0)], (), ()) == []


class TestTheTerminal:
    def test_a_block_is_full_only_where_the_threshold_is_reached(self) -> None:
        drawn = terminal.draw(an_attempt(-2.0, 0.0, ENOUGH / 2, ENOUGH - 0.01, ENOUGH)).plain.splitlines()
        errors = next(line for line in drawn if line.startswith("errors"))
        assert errors.split() == ["errors", "▁▁▄▇█", "300", "(300", "rolls", "back)"]

    def test_a_gap_looks_different_from_a_window_without_evidence(self) -> None:
        drawn = terminal.draw(an_attempt(0.0, 0.0, 0.0, gap_at=1)).plain
        assert "▁·▁" in drawn

    def test_many_windows_share_columns_and_every_peak_is_shown(self) -> None:
        drawn = terminal.draw(an_attempt(*[0.0] * 100, 9.0, *[0.0] * 139)).plain.splitlines()
        errors = next(line for line in drawn if line.startswith("errors"))
        assert errors.count("█") == 1
        assert max(map(len, drawn)) <= 120

    @pytest.mark.parametrize(
        ("revisions", "end"),
        [
            (rolled_back([a_window(0)]), "▁▁ 0 %, rolled back"),
            (rolled_back_after_promotion(3)[:-1], "▁▁▄▄█ 100 %, promoted"),
            ([released(), stepped(2, windows=(a_window(0),))], "▁  10 %"),
        ],
    )
    def test_the_weight_ends_at_nothing_or_at_everything(self, revisions: list[Revision], end: str) -> None:
        weight = next(line for line in terminal.draw(newest(revisions)).plain.splitlines() if line.startswith("weight"))
        assert weight.split(maxsplit=1)[1] == end


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def lines(drawn: str) -> list[list[tuple[float, float]]]:
    """The points of every curve; the last one is the weight."""
    found = ElementTree.fromstring(drawn).iter(f"{SVG}polyline")
    places = ([place.split(",") for place in element.attrib["points"].split()] for element in found)
    return [[(float(x), float(y)) for x, y in line] for line in places]


def badges(drawn: str) -> list[tuple[float, float, float]]:
    """Place and radius of every numbered circle."""
    circles = (one for one in ElementTree.fromstring(drawn).iter(f"{SVG}circle") if one.get("fill") == "#fff")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"]), float(one.attrib["r"])) for one in circles]


def overlapping(places: Iterable[tuple[float, float, float]]) -> list[object]:
    pairs = itertools.combinations(places, 2)
    return [(one, other) for one, other in pairs if math.dist(one[:2], other[:2]) < one[2] + other[2]]


class TestTheSvg:
    def test_it_has_a_line_per_gate_and_the_thresholds_weights_and_events(self) -> None:
        drawn = svg.draw(an_attempt(0.5, 3.0, 6.0))
        assert len(lines(drawn)) == 2 + 2 + 1
        expected = {"300 rolls back", "20 shows safety", "errors: 403", "share of the requests for 1.1.0"}
        assert expected <= set(texts(drawn))

    def test_it_names_versions_actors_revisions_and_reasons(self) -> None:
        drawn = texts(svg.draw(newest(rolled_back_after_promotion(3))))
        assert "iris, attempt 1: 1.0.0 → 1.1.0" in drawn
        assert "released by alice (iris.1): better" in drawn
        assert "rolled back by bob (iris.5): customer complaints" in drawn

    @pytest.mark.parametrize("seconds", [0.0, 0.2, 3.0, 86400.0 * 3])
    def test_promotion_and_rollback_do_not_cover_each_other(self, seconds: float) -> None:
        drawn = svg.draw(newest(rolled_back_after_promotion(seconds)))
        assert len(badges(drawn)) == 2 * 5
        assert overlapping(badges(drawn)) == []

    def test_the_weight_reaches_nothing_and_everything(self) -> None:
        drawn = svg.draw(newest(rolled_back_after_promotion(3)))
        heights = [y for _, y in lines(drawn)[-1]]
        bottom, top = max(heights), min(heights)
        assert bottom - top == svg.WEIGHT_HEIGHT
        assert (heights[0], heights[-1]) == (bottom, bottom)
        labelled = {one.text: float(one.attrib["y"]) - 4 for one in ElementTree.fromstring(drawn).iter(f"{SVG}text")}
        assert (labelled["0 %"], labelled["100 %"]) == (bottom, top)

    def test_a_rollback_long_after_the_promotion_leaves_the_attempt_its_width(self) -> None:
        soon, late = (lines(svg.draw(newest(rolled_back_after_promotion(s))))[0] for s in (0.0, 86400.0))
        assert late[-1][0] - late[0][0] == pytest.approx(soon[-1][0] - soon[0][0], rel=0.1)

    def test_equal_curves_differ_in_dash_and_colour_and_do_not_cover_each_other(self) -> None:
        drawn = svg.draw(an_attempt(0.5, 3.0, 6.0, more=4))
        curves = [one for one in ElementTree.fromstring(drawn).iter(f"{SVG}polyline")][:6]
        styles = {(one.get("stroke"), one.get("stroke-dasharray")) for one in curves}
        assert len(styles) == 6
        equal = [lines(drawn)[at] for at in (0, 2, 3, 4, 5)]
        assert all(abs(a[1][1] - b[1][1]) >= 3 for a, b in itertools.combinations(equal, 2))

    def test_a_gap_is_shaded_with_its_reason_as_title(self) -> None:
        root = ElementTree.fromstring(svg.draw(an_attempt(0.0, 0.0, gap_at=1)))
        assert "no gateway" in [element.text for element in root.iter(f"{SVG}title")]

    def test_markup_in_names_and_reasons_is_escaped(self) -> None:
        drawn = svg.draw(newest(rolled_back_after_promotion(3, actor="<script>", reason="a < b & </text>")))
        assert "<script>" not in drawn
        assert "rolled back by <script> (iris.5): a < b & </text>" in texts(drawn)

    def test_a_long_reason_is_wrapped_and_its_whole_text_is_the_title(self) -> None:
        reason = "word " * 200
        drawn = svg.draw(newest(rolled_back_after_promotion(3, reason=reason, actor="x" * 200)))
        assert max(map(len, texts(drawn))) <= 120
        assert reason in [element.text for element in ElementTree.fromstring(drawn).iter(f"{SVG}title")]

    @given(st.lists(st.floats(-400, 400), min_size=1, max_size=30), st.integers(0, 5))
    def test_every_point_of_a_line_is_inside_the_image(self, values: list[float], more: int) -> None:
        drawn = svg.draw(an_attempt(*values, more=more))
        _, _, width, height = map(float, ElementTree.fromstring(drawn).attrib["viewBox"].split())
        assert all(0 <= x <= width and 0 <= y <= height for line in lines(drawn) for x, y in line)

    @given(st.lists(st.floats(0, 3600), max_size=25), st.floats(0, 1e7))
    def test_no_number_of_an_event_covers_another(self, steps: list[float], later: float) -> None:
        end = max(steps, default=0.0) + 1
        events = [stepped(seq, 100 * seq, at=at) for seq, at in enumerate(sorted(steps), 2)]
        windows = [a_window(0), a_window(end / 5)]
        back = a_revision(len(events) + 3, Cause.ROLLED_BACK, at=end + later)
        drawn = svg.draw(newest([released(), *events, promoted(len(events) + 2, windows, at=end), back]))
        assert overlapping(badges(drawn)) == []

    def test_the_same_windows_give_the_same_bytes(self) -> None:
        assert svg.draw(an_attempt(*range(5))) == svg.draw(an_attempt(*range(5)))

    def test_the_picture_in_the_documentation_is_drawn_by_this_code(self) -> None:
        assert evidence_picture.PICTURE.read_text() == evidence_picture.draw()


class TestLabels:
    @given(st.lists(st.floats(0, 100), max_size=40))
    def test_badges_stay_inside_and_keep_their_order(self, places: list[float]) -> None:
        moved = labels.badges(places, 0, 100)
        assert all(-1e-6 <= one <= 100 + 1e-6 for one in moved)
        order = sorted(range(len(places)), key=lambda at: places[at])
        assert [moved[at] for at in order] == sorted(moved)

    @given(st.lists(st.floats(0, 1000), max_size=40))
    def test_spread_places_are_apart_and_never_before_their_own(self, places: list[float]) -> None:
        moved = labels.spread(places, 15)
        assert all(after >= before for after, before in zip(moved, places, strict=True))
        ordered = sorted(moved)
        assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(ordered))

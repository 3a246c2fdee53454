"""Which lines `fairlead logs` shows: what repeats pushes nothing else out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.log_lines import newest
from fairlead.local.log_files import GATEWAY
from fairlead.local.repeated_lines import Fold
from support.log_entries import exited, failure, printed, raised


def test_the_exit_lines_of_a_crash_loop_stay_although_hundreds_of_gateway_lines_follow() -> None:
    # One exit, then eight failures a second for five minutes, of ever other paths: nothing can be folded.
    entries = [exited(0), *(failure(number / 8, path=f"/models/iris/{number}") for number in range(1, 2400))]
    fold = Fold()
    found = newest([*fold.add(entries), *fold.rest()], 100)
    assert (len(found), found[0]) == (100, exited(0))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 40))
def test_gateway_lines_take_at_most_half_of_the_limit_from_the_others(is_gateways: list[bool], limit: int) -> None:
    entries = [failure(second) if gateway else exited(second) for second, gateway in enumerate(is_gateways)]
    found = newest(entries, limit)
    others = [entry for entry in entries if entry.source != GATEWAY]
    assert len(found) == min(limit, len(entries))
    assert found == sorted(found, key=lambda one: one.time)
    kept = [entry for entry in found if entry.source != GATEWAY]
    assert len(kept) >= min(len(others), limit - limit // 2)
    assert kept == others[len(others) - len(kept) :]


def test_a_number_whose_traceback_is_older_than_the_limit_carries_it() -> None:
    fold = Fold()
    entries = [raised(0), *(exited(second) for second in range(1, 9)), raised(9), raised(10)]
    *_, last = newest([*fold.add(entries), *fold.rest()], 4)
    assert last.fields["traceback"] == raised(0).fields["traceback"]
    assert "the same error 2 more times" in str(last.fields["message"])


def test_the_errors_of_a_model_stay_although_it_prints_at_every_request() -> None:
    entries = [raised(0), *(printed(number / 100, f"took {number} ms") for number in range(1, 5000)), exited(50)]
    fold = Fold()
    found = newest([*fold.add(entries), *fold.rest()], 100)
    assert (len(found), found[0], found[-1]) == (100, raised(0), exited(50))


@given(st.lists(st.sampled_from("gpo"), max_size=80), st.integers(1, 40))
def test_neither_the_gateway_nor_prints_take_more_than_their_share(kinds: list[str], limit: int) -> None:
    made = {"g": lambda at: failure(at, path=f"/{at}"), "p": lambda at: printed(at, f"{at}"), "o": exited}
    entries = [made[kind](second) for second, kind in enumerate(kinds)]
    found = newest(entries, limit)
    count = {kind: sum(entry == made[kind](second) for second, entry in enumerate(entries)) for kind in kinds}
    others = sum(not one.is_printed and one.source != GATEWAY for one in found)
    assert len(found) == min(limit, len(entries))
    assert found == sorted(found, key=lambda one: one.time)
    assert others >= min(count.get("o", 0), limit - limit // 2)
    noisy = len(found) - others
    for kind in "gp":
        shown = sum(entry in found for second, entry in enumerate(entries) if entry == made[kind](second))
        assert shown >= min(count.get(kind, 0), noisy // 2)

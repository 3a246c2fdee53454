"""Evidence of the requests counts as far as most windows say the same (`window_bets`)."""

from __future__ import annotations

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.revision import Verdict
from fairlead.contracts.window import Counts, Window
from fairlead.rollout.policy.evidence import weigh
from unit.rollout.policy.builders import a_strategy, later
from unit.rollout.policy.test_evidence import BAD, GOOD, folded, judged


class TestWindows:
    """Evidence of the requests counts as far as most windows say the same (`window_bets`)."""

    def test_one_window_is_too_few_however_much_it_says_and_the_weight_waits(self) -> None:
        check = judged(a_strategy(), BAD)["errors"]
        assert check.verdict is Verdict.INCONCLUSIVE
        assert check.reason == (
            "5 of 10 against 0 of 90, evidence 6,651 to 1 for harm, but of too few windows to count; "
            "1 of 1 windows say the same"
        )
        assert check.numbers["log_harm"] < check.numbers["harm_at"] <= check.numbers["log_unconfirmed"]

    def test_three_windows_in_which_half_of_the_requests_fail_are_enough(self) -> None:
        assert judged(a_strategy(), *[BAD] * 2)["errors"].verdict is Verdict.INCONCLUSIVE
        check = judged(a_strategy(), *[BAD] * 3)["errors"]
        assert check.verdict is Verdict.FAIL
        assert check.reason.endswith("is enough; 3 of 3 windows say the same")
        assert (check.numbers["worse_windows"], check.numbers["told_windows"]) == (3, 3)
        assert "log_unconfirmed" not in check.numbers

    def test_one_bad_batch_between_good_windows_rolls_nothing_back(self) -> None:
        batch = {"candidate": Counts(n=100, bad=60), "stable": Counts(n=900), "assigned": 100, "unserved": 60}
        good = {"candidate": Counts(n=100), "stable": Counts(n=900, bad=1), "assigned": 100}
        verdicts = [judged(a_strategy(), *[good] * 5, batch, *[good] * at)["errors"].verdict for at in range(20)]
        assert Verdict.FAIL not in verdicts

    def test_two_bad_windows_hold_the_weight_until_the_candidate_was_not_worse_for_five_minutes(self) -> None:
        """One bettor keeps what it has won: without an end they would hold it for ever."""
        bad = {"candidate": Counts(n=200, bad=20), "stable": Counts(n=1800), "assigned": 200, "unserved": 20}
        good = {"candidate": Counts(n=200), "stable": Counts(n=1800), "assigned": 200}
        held, after = [bad, bad, *[good] * 59], [bad, bad, *[good] * 60]
        assert judged(a_strategy(), *held)["errors"].verdict is Verdict.INCONCLUSIVE
        check = judged(a_strategy(), *after)["errors"]
        assert check.verdict is Verdict.PASS
        assert check.reason.endswith(
            "the requests said otherwise; 2 of 2 windows say the same, and none of the last 60 does"
        )
        assert check.numbers["log_unconfirmed"] >= check.numbers["harm_at"]
        assert judged(a_strategy(), *after, bad)["errors"].verdict is Verdict.INCONCLUSIVE
        assert judged(a_strategy(), *after, *[bad] * 5)["errors"].verdict is Verdict.FAIL

    def test_windows_without_requests_do_not_end_the_wait(self) -> None:
        bad = {"candidate": Counts(n=200, bad=20), "stable": Counts(n=1800), "assigned": 200, "unserved": 20}
        nobody = {"candidate": Counts(n=0), "stable": Counts(n=1800)}
        assert judged(a_strategy(), bad, bad, *[nobody] * 100)["errors"].verdict is Verdict.INCONCLUSIVE

    def test_a_gate_that_only_watches_waits_as_well_while_harm_is_unconfirmed(self) -> None:
        mixes = {"candidate": {"b": 50}, "stable": {"a": 200}}
        moved = {**GOOD, "classes": ClassCounts(candidate=mixes["candidate"], stable=mixes["stable"])}
        checks = [judged(a_strategy(), *[moved] * at)["classes"].verdict for at in (2, 3, 5)]
        assert checks == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]

    def test_a_window_of_an_older_release_continues_without_bets_on_windows(self) -> None:
        windows = folded(a_strategy(), *[BAD] * 6)
        old = tuple(
            one.model_copy(update={"state": {name: at for name, at in one.state.items() if name != "windows"}})
            for one in windows[-1].evidence
        )
        newest = Window(start=later(30), end=later(35), weight=500, ready=1, **BAD)
        after = weigh(a_strategy(), (windows[-1].model_copy(update={"evidence": old}),), newest)[0]
        assert after.log_unconfirmed is not None
        assert after.log_unconfirmed > windows[-1].evidence[0].log_harm
        assert (after.worse_windows, after.told_windows) == (1, 1)

"""The test suite of every store. A store's test module subclasses `StoreSuite` and defines a `store` fixture."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from fairlead import errors
from fairlead.contracts.action import ActionType, Outcome
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.route import Target, VersionRef
from fairlead.contracts.status import Condition, Gateway, Status
from fairlead.store.base import Store
from unit.store.builders import NOW, REF, a_spec, a_window, an_action, filled, routed, successor


class StoreSuite:
    """Subclass it, and define a fixture `store` that returns an empty store."""

    windows = 500
    """How many windows are added one by one, of which at most 240 are kept. Slow stores add fewer."""

    # Routes

    def test_a_route_is_read_as_written(self, store: Store) -> None:
        put = store.put_route("iris", a_spec(), now=NOW, actor="ada", reason="first", annotations={"team": "x"})
        assert store.route("iris") == put
        assert (put.generation, put.actor, put.reason, put.annotations) == (1, "ada", "first", {"team": "x"})

    def test_the_generation_grows_only_when_the_spec_differs(self, store: Store) -> None:
        first = store.put_route("iris", a_spec(), now=NOW, actor="ada")
        same = store.put_route("iris", a_spec(), now=NOW, actor="ada", reason="second")
        other = store.put_route("iris", a_spec(target=Target(version="1.1.0")), now=NOW, actor="ada", reason="third")
        assert [first.generation, same.generation, other.generation] == [1, 1, 2]
        assert (same.reason, other.reason) == ("", "third")

    def test_annotations_stay_unless_they_are_given(self, store: Store) -> None:
        store.put_route("iris", a_spec(), now=NOW, actor="ada", annotations={"team": "x"})
        kept = store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="ada")
        assert kept.annotations == {"team": "x"}
        assert store.put_route("iris", a_spec(), now=NOW, actor="ada", annotations={}).annotations == {}

    def test_a_stale_write_of_a_route_is_a_conflict(self, store: Store) -> None:
        first = store.put_route("iris", a_spec(), now=NOW, actor="ada")
        store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="ada")
        with pytest.raises(errors.Conflict, match="changed by ada"):
            store.put_route("iris", a_spec(), now=NOW, actor="ada", expected=first.resource_version)

    def test_creating_a_route_that_exists_is_a_conflict(self, store: Store) -> None:
        store.put_route("iris", a_spec(), now=NOW, actor="ada", expected=0)
        with pytest.raises(errors.Conflict, match="exists already"):
            store.put_route("iris", a_spec(), now=NOW, actor="ada", expected=0)

    def test_changing_a_route_that_was_deleted_is_a_conflict(self, store: Store) -> None:
        with pytest.raises(errors.Conflict, match="deleted"):
            store.put_route("iris", a_spec(), now=NOW, actor="ada", expected=3)

    def test_a_missing_route_names_the_existing_routes(self, store: Store) -> None:
        store.put_route("iris", a_spec(), now=NOW, actor="ada")
        with pytest.raises(errors.NotFound) as caught:
            store.route("irsi")
        assert "iris" in (caught.value.hint or "")
        with pytest.raises(errors.NotFound):
            store.delete_route("irsi")

    def test_a_deleted_route_leaves_its_ledger(self, store: Store) -> None:
        filled(store, 2)
        store.delete_route("iris")
        assert store.routes() == []
        assert len(store.revisions("iris")) == 2

    def test_routes_are_sorted_by_name(self, store: Store) -> None:
        for name in ("b", "a"):
            store.put_route(name, a_spec(), now=NOW, actor="ada")
        assert [route.name for route in store.routes()] == ["a", "b"]

    # The token

    def test_the_token_changes_with_writes_only(self, store: Store) -> None:
        before = store.change_token()
        store.put_route("iris", a_spec(), now=NOW, actor="ada")
        after = store.change_token()
        store.routes()
        assert before != after
        assert store.change_token() == after

    def test_writing_the_same_again_changes_no_token(self, store: Store) -> None:
        store.put_route("iris", a_spec(), now=NOW, actor="ada")
        store.set_status("iris", {"phase": "Stable"})
        before = store.change_token()
        store.set_status("iris", {"phase": "Stable"})
        store.put_route("iris", a_spec(), now=NOW, actor="bob")
        assert store.change_token() == before

    # The ledger

    def test_a_route_without_revisions_has_no_head(self, store: Store) -> None:
        assert store.head("iris") is None
        assert store.verify("iris") is None

    def test_an_appended_revision_is_sealed_and_becomes_the_head(self, store: Store) -> None:
        appended = store.append(successor(None))
        assert appended.hash == appended.content_hash()
        assert store.head("iris") == appended

    @pytest.mark.parametrize("change", [{"seq": 3}, {"seq": 1}, {"parent": "0" * 64}])
    def test_a_revision_that_does_not_continue_the_head_is_a_conflict(
        self, store: Store, change: dict[str, object]
    ) -> None:
        head = store.append(successor(None))
        with pytest.raises(errors.Conflict, match=r"head is iris\.1"):
            store.append(successor(head).model_copy(update=change))
        assert store.head("iris") == head

    def test_ledgers_of_two_routes_do_not_mix(self, store: Store) -> None:
        filled(store, 2)
        filled(store, 3, route="wine")
        assert [revision.id for revision in store.revisions("wine")] == ["wine.1", "wine.2", "wine.3"]
        assert (store.verify("iris"), store.verify("wine")) == (None, None)

    def test_revisions_ascend_and_a_limit_keeps_the_newest(self, store: Store) -> None:
        filled(store, 4)
        assert [revision.seq for revision in store.revisions("iris")] == [1, 2, 3, 4]
        assert [revision.seq for revision in store.revisions("iris", limit=2)] == [3, 4]

    def test_a_missing_revision_says_what_is_kept(self, store: Store) -> None:
        filled(store, 2)
        with pytest.raises(errors.NotFound) as caught:
            store.revision("iris", 9)
        assert "iris.1 to iris.2" in (caught.value.hint or "")

    def test_at_finds_the_revision_that_was_in_force(self, store: Store) -> None:
        filled(store, 3)
        moments = [60, 119, 120, 10_000]
        assert [store.at("iris", NOW + timedelta(seconds=at)).seq for at in moments] == [1, 1, 2, 3]

    def test_at_before_the_first_revision_is_not_found(self, store: Store) -> None:
        filled(store, 1)
        with pytest.raises(errors.NotFound, match="does not reach back"):
            store.at("iris", NOW)

    def test_at_distinguishes_half_a_second_from_a_whole_one(self, store: Store) -> None:
        head = store.append(successor(None))
        later = successor(head).model_copy(update={"created_at": NOW + timedelta(milliseconds=500)})
        store.append(later)
        assert store.at("iris", NOW + timedelta(milliseconds=499)).seq == 1

    # Pruning

    def test_a_pruned_ledger_still_verifies_and_grows(self, store: Store) -> None:
        filled(store, 10)
        assert store.prune("iris", keep=4, now=NOW) == 6
        assert [revision.seq for revision in store.revisions("iris")] == [7, 8, 9, 10]
        store.append(successor(store.head("iris")))
        assert store.verify("iris") is None

    def test_pruning_leaves_a_checkpoint_with_the_last_hash(self, store: Store) -> None:
        sixth = filled(store, 10)[5]
        store.prune("iris", keep=4, now=NOW)
        checkpoint = store.checkpoint("iris")
        assert checkpoint is not None
        assert (checkpoint.seq, checkpoint.hash) == (6, sixth.hash)

    def test_pruning_keeps_promotions(self, store: Store) -> None:
        filled(store, 10, promoted=(2, 6))
        assert store.prune("iris", keep=4, now=NOW) == 4
        assert [revision.seq for revision in store.revisions("iris")] == [2, 6, 7, 8, 9, 10]
        assert store.verify("iris") is None

    def test_pruning_twice_moves_the_checkpoint(self, store: Store) -> None:
        filled(store, 10)
        store.prune("iris", keep=6, now=NOW)
        assert store.prune("iris", keep=2, now=NOW) == 4
        assert store.prune("iris", keep=2, now=NOW) == 0
        assert store.verify("iris") is None

    def test_a_pruned_revision_is_not_found(self, store: Store) -> None:
        filled(store, 10)
        store.prune("iris", keep=4, now=NOW)
        with pytest.raises(errors.NotFound):
            store.revision("iris", 3)
        with pytest.raises(errors.NotFound):
            store.at("iris", NOW + timedelta(seconds=130))

    def test_the_head_is_never_pruned(self, store: Store) -> None:
        filled(store, 2)
        with pytest.raises(errors.Invalid):
            store.prune("iris", keep=0, now=NOW)

    # Windows

    def test_windows_ascend_and_an_append_clears_them(self, store: Store) -> None:
        windows = [a_window(1), a_window(2, gap="no gateway told its counters")]
        routed(store, "iris")
        for window in windows:
            store.add_window("iris", window)
        assert store.windows("iris") == windows
        store.append(successor(None))
        assert store.windows("iris") == []

    def test_an_append_clears_no_other_routes_windows(self, store: Store) -> None:
        routed(store, "iris", "wine").add_window("wine", a_window(1))
        store.append(successor(None))
        assert len(store.windows("wine")) == 1

    def test_a_window_that_waits_for_the_status_is_read_at_once(self, store: Store) -> None:
        routed(store, "iris")
        for number in (1, 2, 3):
            store.add_window("iris", a_window(number), at_once=False)
        windows = store.windows("iris")
        assert windows == [a_window(1), a_window(2), a_window(3)]
        store.set_status("iris", {"phase": "Canary"})
        assert store.windows("iris") == windows
        store.add_window("iris", a_window(4))
        assert store.windows("iris") == [*windows, a_window(4)]

    def test_an_append_clears_windows_that_wait_for_the_status(self, store: Store) -> None:
        routed(store, "iris").add_window("iris", a_window(1), at_once=False)
        store.append(successor(None))
        assert store.windows("iris") == []
        store.set_status("iris", {"phase": "Canary"})
        assert store.windows("iris") == []

    def test_at_most_240_windows_are_kept_and_no_request_is_lost(self, store: Store) -> None:
        routed(store, "iris")
        for number in range(self.windows):
            store.add_window("iris", a_window(number))
        windows = store.windows("iris")
        assert len(windows) <= 240
        assert sum(window.candidate.n for window in windows) == 10 * self.windows
        assert (windows[0].start, windows[-1].end) == (a_window(0).start, a_window(self.windows - 1).end)
        assert all(one.end == other.start for one, other in zip(windows, windows[1:], strict=False))

    # Actions

    def test_actions_are_sorted_oldest_first(self, store: Store) -> None:
        for name, at in (("b", 1), ("a", 2), ("c", 0)):
            store.create_action(an_action(name, at=at))
        assert [action.name for action in store.actions("iris")] == ["c", "b", "a"]
        assert store.actions("wine") == []

    def test_the_same_action_again_returns_what_is_stored(self, store: Store) -> None:
        first = store.create_action(an_action())
        store.finish_action("a1", Outcome.ACCEPTED, revision=4)
        again = store.create_action(an_action(at=5))
        assert (again.created_at, again.outcome, again.revision) == (first.created_at, Outcome.ACCEPTED, 4)

    def test_an_action_keeps_its_options(self, store: Store) -> None:
        options: dict[str, object] = {"even_if_down": True, "even_if_stable_serves": True, "pause_for": 5400.0}
        options |= {"to_revision": 3, "attempt": 0, "step": 0}
        asked = an_action(kind=ActionType.PROMOTE).model_copy(update=options)
        store.create_action(asked)
        read = store.action("a1")
        assert {name: getattr(read, name) for name in options} == options

    @pytest.mark.parametrize(
        "option", [{"even_if_down": True}, {"even_if_stable_serves": True}, {"pause_for": 60.0}, {"to_revision": 3}]
    )
    def test_another_option_is_another_request(self, store: Store, option: dict[str, object]) -> None:
        store.create_action(an_action())
        with pytest.raises(errors.Conflict, match="different request"):
            store.create_action(an_action().model_copy(update=option))

    def test_the_same_name_for_something_else_is_a_conflict(self, store: Store) -> None:
        store.create_action(an_action())
        with pytest.raises(errors.Conflict, match="rollback"):
            store.create_action(an_action(kind=ActionType.PAUSE))

    def test_a_finished_action_is_not_pending(self, store: Store) -> None:
        store.create_action(an_action())
        store.finish_action("a1", Outcome.REFUSED, message="no")
        assert store.actions(outcome=Outcome.PENDING) == []
        assert [action.message for action in store.actions(outcome=Outcome.REFUSED)] == ["no"]

    def test_finishing_twice_with_the_same_outcome_does_nothing(self, store: Store) -> None:
        store.create_action(an_action())
        store.finish_action("a1", Outcome.ACCEPTED, message="first", revision=1)
        store.finish_action("a1", Outcome.ACCEPTED, message="second", revision=2)
        assert store.actions()[0].message == "first"

    def test_a_finished_action_cannot_get_another_outcome(self, store: Store) -> None:
        store.create_action(an_action())
        store.finish_action("a1", Outcome.ACCEPTED)
        with pytest.raises(errors.Conflict):
            store.finish_action("a1", Outcome.REFUSED)

    def test_an_unknown_action_cannot_be_finished(self, store: Store) -> None:
        with pytest.raises(errors.NotFound):
            store.finish_action("a1", Outcome.ACCEPTED)

    # Status

    def test_the_last_status_is_read(self, store: Store) -> None:
        assert routed(store, "iris").status("iris") is None
        store.set_status("iris", {"phase": "Canary"})
        store.set_status("iris", {"phase": "Stable", "weight": 0})
        assert store.status("iris") == {"phase": "Stable", "weight": 0}

    def test_a_status_with_unknown_values_can_be_read(self, store: Store) -> None:
        silent = Gateway(name="e1", reachable=False, programmed=None)
        written = Status(route="iris", observed_generation=1, target=REF, gateways=(silent,))
        routed(store, "iris").set_status("iris", written.to_json())
        assert Status.model_validate(store.status("iris")) == written

    def test_a_condition_keeps_its_time_while_its_status_stays(self, store: Store) -> None:
        def write(*, ready: bool, message: str, at: datetime) -> Condition:
            one = Condition(type="Ready", status=ready, reason="Serving", message=message, since=at)
            status = Status(route="iris", observed_generation=1, target=REF, conditions=(one,))
            store.set_status("iris", status.to_json())
            found = Status.model_validate(store.status("iris")).condition("Ready")
            assert found is not None
            return found

        routed(store, "iris")
        first = write(ready=True, message="one", at=NOW)
        same = write(ready=True, message="two", at=NOW + timedelta(hours=1))
        assert (same.message, same.since) == ("two", first.since)
        other = write(ready=False, message="three", at=NOW + timedelta(hours=2))
        assert first.since is not None
        assert other.since is not None
        assert other.since >= first.since
        assert other.since == write(ready=False, message="four", at=NOW + timedelta(hours=3)).since

    def test_a_status_that_is_the_same_but_for_its_times_is_not_written(self, store: Store) -> None:
        def write(at: datetime) -> None:
            one = Condition(type="Ready", status=True, reason="Serving", since=at)
            status = Status(route="iris", observed_generation=1, target=REF, conditions=(one,))
            store.set_status("iris", status.to_json())

        routed(store, "iris")
        write(NOW)
        token = store.change_token()
        write(NOW + timedelta(seconds=1))
        assert store.change_token() == token

    def test_without_a_heartbeat_the_age_of_the_statuses_is_unknown(self, store: Store) -> None:
        assert store.last_beat() is None


class SupervisedSuite:
    """For a store whose instances a supervisor starts and reports. In a cluster they are read from its objects."""

    def test_want_replaces_the_whole_list(self, store: Store) -> None:
        rows = [Wanted(model="iris", ref=REF, index=index, source="/m") for index in range(3)]
        store.want(rows)
        assert store.wanted() == rows
        store.want(rows[:1])
        assert store.wanted() == rows[:1]

    def test_a_report_replaces_the_one_before_until_the_instance_is_removed(self, store: Store) -> None:
        ref = VersionRef(version="1.0.0", identity="0" * 10)
        instance = Instance(id="i", model="iris", ref=ref, host="h", port=1, observed_at=NOW)
        store.report(instance)
        ready = instance.model_copy(update={"ready": True})
        store.report(ready)
        assert store.instances() == [ready]
        store.remove_instance("i")
        assert store.instances() == []

    def test_wanting_the_same_again_changes_no_token(self, store: Store) -> None:
        wanted = [Wanted(model="iris", ref=REF, index=0, source="/m")]
        store.want(wanted)
        before = store.change_token()
        store.want(wanted)
        assert store.change_token() == before

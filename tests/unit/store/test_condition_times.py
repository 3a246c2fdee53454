from fairlead.store.condition_times import with_times


def condition(kind: str, status: bool, since: str | None) -> dict[str, object]:
    return {"type": kind, "status": status, "reason": "R", "since": since}


def test_a_condition_with_the_same_status_keeps_its_time() -> None:
    before = {"conditions": [condition("Ready", True, "monday")]}
    assert with_times({"conditions": [condition("Ready", True, "friday")]}, before) == before


def test_a_condition_with_another_status_gets_the_new_time() -> None:
    new = {"conditions": [condition("Ready", False, "friday")]}
    assert with_times(new, {"conditions": [condition("Ready", True, "monday")]}) == new


def test_a_condition_whose_time_was_never_stored_gets_the_new_time() -> None:
    new = {"conditions": [condition("Ready", True, "friday")]}
    assert with_times(new, {"conditions": [{"type": "Ready", "status": True, "reason": "R"}]}) == new
    assert with_times(new, {"phase": "Stable"}) == new
    assert with_times(new, None) == new


def test_a_status_without_conditions_stays_as_it_is() -> None:
    assert with_times({"phase": "Canary"}, {"conditions": [condition("Ready", True, "monday")]}) == {"phase": "Canary"}

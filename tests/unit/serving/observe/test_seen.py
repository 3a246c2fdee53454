"""Which keys have come before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.observe.seen import KEY_BYTES, WAYS, Seen
from fairlead.serving.observe.shared_memory import SharedMemory


def seen(keys: int) -> Seen:
    size = keys * KEY_BYTES
    return Seen(SharedMemory(common=size), size)


@given(st.lists(st.text(max_size=3), max_size=60))
def test_a_key_is_new_once(keys: list[str]) -> None:
    assert seen(1 << 16).add(keys) == [key not in keys[:at] for at, key in enumerate(keys)]


def test_the_oldest_key_of_a_full_set_makes_room() -> None:
    one = seen(WAYS)
    keys = [f"{number}" for number in range(WAYS)]
    assert all(one.add(keys))
    assert one.add(["another", keys[-1], keys[0]]) == [True, False, True]


def test_all_workers_know_the_same_keys() -> None:
    memory = SharedMemory(common=1 << 12)
    first = Seen(memory, 1 << 12)
    memory._common_taken -= 1 << 12  # another worker takes the same part
    assert (first.add(["a"]), Seen(memory, 1 << 12).add(["a"])) == ([True], [False])

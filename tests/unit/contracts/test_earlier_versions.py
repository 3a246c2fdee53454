"""Which revision `--to` names, and which versions a rollback accepts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.earlier_versions import names_to_return_to, revision_named
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import VersionRef, VersionSpec
from fairlead.contracts.spelling import to_option
from unit.rollout.policy.builders import NOW, V0, V1, V2, a_head, a_route

LEDGER = tuple(a_head(stable=ref, seq=seq) for seq, ref in enumerate((V0, V1, V2, V1, V2), start=1))


def no_ledger() -> Sequence[Revision]:
    raise AssertionError("a revision's number needs no ledger")


@pytest.mark.parametrize("name", [12, "iris.12"])
def test_a_number_is_a_revision(name: str | int) -> None:
    assert revision_named(name, a_route(), no_ledger) == 12


def test_a_number_as_text_is_a_revision_unless_a_version_has_that_name() -> None:
    assert revision_named("12", a_route(), lambda: LEDGER) == 12


@pytest.mark.parametrize(("version", "revision"), [("0.9.0", 1), ("1.0.0", 4), ("1.1.0", 5)])
def test_a_version_is_the_newest_revision_in_which_it_was_stable(version: str, revision: int) -> None:
    assert revision_named(version, a_route(), lambda: LEDGER) == revision


@pytest.mark.parametrize("name", ["1.2.0", "rose.4", "", "iris.", "-1"])
def test_what_was_never_stable_is_refused_with_what_was(name: str) -> None:
    with pytest.raises(errors.NotFound, match="is no revision of iris") as raised:
        revision_named(name, a_route(), lambda: LEDGER)
    assert "0.9.0 (iris.1), 1.0.0 (iris.4), 1.1.0 (iris.5)" in str(raised.value.hint)


def test_a_number_that_is_a_version_too_is_refused_with_both_spellings() -> None:
    route = a_route("2", versions=("1", "2"))
    ledger = [a_head(stable=VersionSpec(source=f"/m/{name}").ref(name), seq=seq) for seq, name in ((2, "1"), (7, "2"))]
    with pytest.raises(errors.Invalid, match="--to 2 can mean revision iris.2 or version 2") as raised:
        revision_named("2", route, lambda: ledger)
    assert raised.value.hint == "the revision: --to iris.2; version 2, stable in iris.7: --to iris.7"
    assert revision_named("iris.2", route, no_ledger) == 2
    assert revision_named("version:2", route, lambda: ledger) == 7


def of_numbers(*versions: str) -> list[Revision]:
    """A ledger in which these versions were stable, one after the other."""
    refs = [VersionSpec(source=f"/m/{name}").ref(name) for name in versions]
    return [a_head(stable=ref, seq=seq) for seq, ref in enumerate(refs, start=1)]


def test_a_number_without_such_a_revision_is_the_version() -> None:
    route, ledger = a_route("20260102", versions=("20260101", "20260102")), of_numbers("20260101", "20260102")
    assert revision_named("20260101", route, lambda: ledger) == 1


@pytest.mark.parametrize(
    ("name", "says"), [("2", r"\(revision 2: --to iris\.2\)"), ("9", "9 is a version of iris, but")]
)
def test_a_version_of_the_spec_that_was_never_stable_is_not_taken_as_a_revision(name: str, says: str) -> None:
    route = a_route("2", versions=("1", "2", "3", "9"))
    with pytest.raises(errors.NotFound, match=says):
        revision_named(name, route, lambda: of_numbers("1", "3"))


def test_a_version_that_left_the_spec_is_not_taken_as_a_revision_either() -> None:
    with pytest.raises(errors.Invalid, match="can mean revision iris.1 or version 1"):
        revision_named("1", a_route("3", versions=("2", "3")), lambda: of_numbers("1", "2", "3"))


@given(st.lists(st.integers(1, 6).map(str), min_size=1, max_size=6), st.data())
def test_what_a_printed_command_names_is_always_accepted_as_that_version(
    versions: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(versions))
    ledger, route = of_numbers(*versions), a_route(versions[-1], versions=tuple(dict.fromkeys(versions)))
    found = revision_named(to_option(name), route, lambda: ledger)
    assert ledger[found - 1].table.stable.version == name


def instance(ref: VersionRef, *, ready: bool = True) -> Instance:
    return Instance(id=ref.version, model="iris", ref=ref, host="h", port=1, ready=ready, observed_at=NOW)


def test_versions_to_go_back_to_were_stable_and_are_in_the_spec_and_ready() -> None:
    route = a_route(versions=("0.9.0", "1.0.0", "1.1.0"))
    running = [instance(ref) for ref in (V0, V1, V2)]
    assert names_to_return_to(route, LEDGER, running) == ["1.0.0", "0.9.0"]
    assert names_to_return_to(route, LEDGER, [instance(V0), instance(V1, ready=False)]) == ["0.9.0"]
    assert names_to_return_to(a_route(versions=("1.0.0", "1.1.0")), LEDGER, running) == ["1.0.0"]
    assert names_to_return_to(route, (), running) == []


def test_a_name_whose_artifact_changed_means_the_newer_identity() -> None:
    edited = VersionSpec(source="/m/1.0.0", artifact="sha256:other").ref("1.0.0")
    ledger = [a_head(stable=ref, seq=seq) for seq, ref in ((1, V1), (2, edited), (3, V2))]
    assert names_to_return_to(a_route(), ledger, [instance(V1)]) == []

"""The page of a model's drift: what it shows, what it says when nothing is known, its size, and hostile names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from starlette.types import ASGIApp

from fairlead.contracts.profile import Profile
from fairlead.contracts.route import VersionRef
from fairlead.control.api import build_api
from fairlead.control.console.fragments import Fragments, Topic, static_files
from fairlead.control.console.pages import Console
from fairlead.control.console.reading import Reader
from fairlead.control.drift import Read
from fairlead.profile import bins
from fairlead.profile.counted import read
from fairlead.store.sqlite import SqliteStore
from fairlead.views.drift import Asked
from support.drift_texts import a_text
from unit.control.console.scene import CANDIDATE, NOW, PLACE, STABLE, Elements, Loop, a_revision, a_store, append, ask

VALUES = np.linspace(0, 100, 1000)
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202egnp.exe '


class Counts:
    """What instances have counted, as a test says."""

    def __init__(self, **texts: str) -> None:
        refs = {"stable": STABLE, "candidate": CANDIDATE}
        self.versions: Mapping[VersionRef, Asked] = {
            refs[role]: Asked("", "", 1, read(text)) for role, text in texts.items()
        }
        self.count = 1

    def of(self, model: str, *, wait_s: float = 0.0) -> Read:
        return Read(self.count, self.versions if model == "iris" else {})

    def close(self) -> None:
        pass


def a_profile(names: list[str]) -> Profile:
    edges = bins.number_edges(VALUES)
    features = tuple(bins.number_feature(name, name, edges, VALUES) for name in names)
    return Profile(model="iris", version="1.0.0", rows=1000, features=features)


def like(profile: Profile) -> dict[str, list[int]]:
    return {one.name: [2 * count for count in one.counts] for one in profile.features}


def low(profile: Profile, *names: str) -> dict[str, list[int]]:
    """Half of the rows of these features are in the first bin that has a value."""
    found = like(profile)
    for name in names:
        found[name][1] += sum(found[name])
    return found


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    found = a_store(tmp_path)
    append(found, a_revision(1, weight=1000))
    return found


def a_reader(store: SqliteStore, counts: Counts) -> Reader:
    return Reader(store, Loop(), PLACE, drift=counts, clock=lambda: NOW, monotonic=lambda: 1000.0)


def an_app(store: SqliteStore, counts: Counts) -> ASGIApp:
    return build_api(store, Loop(), console=Console(a_reader(store, counts)))


def shown(store: SqliteStore, counts: Counts, path: str = "/console/routes/iris/drift") -> Elements:
    return Elements(ask(an_app(store, counts), path).text)


def test_features_that_drift_are_first_unfolded_and_told_with_the_bins_that_moved(store: SqliteStore) -> None:
    profile = a_profile(["weight", "age"])
    page = shown(store, Counts(stable=a_text(profile, low(profile, "age"))))
    features = [attributes for tag, attributes in page.found if tag == "details"]
    assert ["open" in one for one in features] == [True, False]
    assert page.text.index("age") < page.text.index("weight")
    assert "iris 1.0.0: 1 of 2 features drifts: age" in page.text
    assert ": 10 % in the reference, 55 % now" in page.text
    assert "fairlead drift iris --state here" in page.text


def test_every_bin_is_a_row_of_a_table_for_who_does_not_see_the_bars(store: SqliteStore) -> None:
    profile = a_profile(["age"])
    page = shown(store, Counts(stable=a_text(profile, like(profile))))
    rows = [attributes for tag, attributes in page.found if tag == "th" and attributes.get("scope") == "row"]
    assert len(rows) == len(profile.features[0].bins)
    assert {one["aria-hidden"] for tag, one in page.found if tag == "svg"} == {"true"}


def test_each_version_has_its_page_and_says_when_nothing_is_known(store: SqliteStore) -> None:
    profile = a_profile(["age"])
    counts = Counts(stable=a_text(profile, like(profile)), candidate=a_text(None, {}))
    assert "as the reference" in shown(store, counts).text
    other = shown(store, counts, "/console/routes/iris/drift?version=1.1.0").text
    assert "iris 1.1.0: drift unavailable: it has no profile" in other
    assert (
        "iris 1.1.0: drift unavailable: no instance of it runs"
        in shown(store, Counts(stable=a_text(profile, like(profile))), "/console/routes/iris/drift?version=1.1.0").text
    )
    few = a_text(profile, {"age": [0, 5, *[0] * (len(profile.features[0].bins) - 2)]})
    assert "not enough rows yet: 5 independent rows, and a PSI needs 200" in shown(store, Counts(stable=few)).text


@pytest.mark.parametrize("asked", ["?version=9.9.9", "?slice=none", "?version=" + "x" * 5000, "?slice=%00%3Cscript%3E"])
def test_what_is_not_there_is_404(store: SqliteStore, asked: str) -> None:
    profile = a_profile(["age"])
    answer = ask(an_app(store, Counts(stable=a_text(profile, {}))), f"/console/routes/iris/drift{asked}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text.partition("<main")[2]


def test_a_model_that_is_not_there_has_no_page(store: SqliteStore) -> None:
    assert ask(an_app(store, Counts()), "/console/routes/rose/drift").status_code == 404


def test_fifty_features_that_drift_are_under_200_kb_with_all_files_and_further_ones_are_named(
    store: SqliteStore,
) -> None:
    files = sum(map(len, static_files().values()))
    for count, drawn in ((50, 50), (100, 53)):
        names = [f"a feature with a long name, number {number:03}" for number in range(count)]
        profile = a_profile(names)
        counts = Counts(stable=a_text(profile, low(profile, *names)))
        text = ask(an_app(store, counts), "/console/routes/iris/drift").text
        assert len(text.encode()) + files < 200_000
        page = Elements(text)
        assert sum(tag == "table" for tag, _ in page.found) == drawn
        assert all(name in page.text for name in names)


def test_names_that_are_hostile_are_text(store: SqliteStore) -> None:
    name = HOSTILE[:80]
    profile = a_profile([name])
    page = shown(store, Counts(stable=a_text(profile, low(profile, name))))
    assert [attributes for tag, attributes in page.found if tag == "script"] == [
        one for tag, one in page.found if tag == "script" and "src" in one
    ]
    assert not [tag for tag, attributes in page.found if tag == "img" or "onerror" in attributes]
    assert "\u202e" not in page.text
    assert r"\u202e" in page.text


def test_an_open_page_is_sent_what_has_changed(store: SqliteStore) -> None:
    profile = a_profile(["age"])
    counts = Counts(stable=a_text(profile, like(profile)))
    reader = a_reader(store, counts)
    fragments, token = Fragments(reader, static_files()), reader.change_token()
    topic = Topic("iris", drift=True)
    before = fragments.parts(topic)
    later = Counts(stable=a_text(profile, low(profile, "age")))
    counts.versions, counts.count = later.versions, 2
    assert reader.change_token() != token
    after = fragments.parts(topic)
    assert {name for name in after if after[name] != before[name]} == {"drift-headline", "drift-features"}
    assert "1 of 1 features drifts: age" in after["drift-headline"]


def test_the_page_of_the_model_leads_to_it(store: SqliteStore) -> None:
    page = Elements(ask(an_app(store, Counts()), "/console/routes/iris").text)
    assert "/console/routes/iris/drift" in {attributes.get("href") for tag, attributes in page.found if tag == "a"}

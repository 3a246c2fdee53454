"""Takes the pictures of docs/console.md: the real pages, in a real browser, of models that a simulation rolled out.

python -m docs.console_pictures      with PYTHONPATH=services:tests; needs Debian's package chromium
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uvicorn

from docs.evidence_picture import SCENARIO
from fairlead.contracts.instance import Instance
from fairlead.contracts.profile import Profile
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import RouteSpec, VersionRef
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.contracts.window import Window
from fairlead.control.asking import Actor, Asking
from fairlead.control.console.acting import Acting
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.control.console.sessions import Sessions
from fairlead.control.console.trial import Exchanged, Trial
from fairlead.control.drift import Read
from fairlead.profile import bins
from fairlead.profile.counted import Counted, read
from fairlead.rehearsal.frames import ROUTE
from fairlead.rehearsal.virtual.ports import RELEASED_AT
from fairlead.rehearsal.virtual.simulation import play_in
from fairlead.store.sqlite import SqliteStore
from fairlead.views.drift import Asked
from support import browser
from support.drift_texts import a_text
from support.processes import free_ports

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
MODELS = {"churn": 40.0, "fraud": 30.0, "iris": 125.0, "prices": 200.0}
"""How many seconds ago each model's release began. That of `prices` was rolled back; `fraud` is down."""
NOW = RELEASED_AT + timedelta(seconds=max(MODELS.values()))
VERSIONS = {"stable": "1.0.0", "candidate": "1.1.0"}


class Picture(NamedTuple):
    """A file, the page that it shows, light or dark, and the size of the window in pixels."""

    file: str
    path: str
    scheme: str
    height: int
    width: int = 1100


PICTURES = (
    Picture("console.png", "/", "light", 660),
    Picture("console-model.png", "/console/routes/iris", "dark", 1069),
    Picture("console-act.png", "/console/routes/churn", "light", 820),
    Picture("console-try.png", "/console/routes/iris/try", "light", 960),
    Picture("console-drift.png", "/console/routes/iris/drift", "light", 965),
)
GOLDEN = [
    {
        "input": {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": petal, "petal_width": 0.2},
        "expected": {"species": "setosa", "probability": 0.98},
    }
    for petal in (1.4, 1.3, 1.5)
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class _Loop:
    beat = 0.0


class _PlayedCounts:
    """What the instances of `iris` have counted: one feature moved, one was sent empty more often."""

    count = 1

    def __init__(self, versions: Mapping[VersionRef, Asked]) -> None:
        self._versions = versions

    def of(self, model: str, *, wait_s: float = 0.0) -> Read:
        return Read(self.count, self._versions if model == "iris" else {})

    def close(self) -> None:
        pass


def counts(head: Revision) -> _PlayedCounts:
    """1,200 rows of stable and 900 of the candidate against a reference of 5,000."""
    names = ("petal_length", "sepal_length", "petal_width", "sepal_width")
    random = np.random.default_rng(16)
    means = dict(zip(names, (3.8, 5.8, 1.2, 3.1), strict=True))
    held_out = {name: random.normal(mean, mean / 5, 5000).round(1) for name, mean in means.items()}
    places = random.choice(["meadow", "forest", "garden"], 5000, p=[0.5, 0.3, 0.2]).tolist()
    features = [bins.number_feature(name, name, bins.number_edges(of), of) for name, of in held_out.items()]
    place = bins.category_feature("place", "place", places, choices=["meadow", "forest", "garden"])
    profile = Profile(model="iris", version="1.0.0", rows=5000, features=(*features, place))

    def counted(rows: int) -> Counted:
        rest = {name: random.normal(means[name], means[name] / 5, rows).round(1) for name in names}
        rest["petal_length"] += (random.random(rows) < 0.4) * 1.5
        live = {
            name: bins.count_numbers(one.edges, rest[name]).tolist() for name, one in zip(names, features, strict=False)
        }
        chosen = random.choice(["meadow", "forest", "garden", ""], rows, p=[0.46, 0.28, 0.18, 0.08]).tolist()
        live["place"] = bins.CategoryCount(place.values, ())(Counter(one or None for one in chosen)).tolist()
        return read(a_text(profile, live))

    table = head.table
    assert table.candidate is not None
    rows = {table.stable: 1200, table.candidate: 900}
    return _PlayedCounts({ref: Asked(ref.version, "", 2, counted(many)) for ref, many in rows.items()})


class _PlayedTrial(Trial):
    """A gateway that knows one golden row."""

    def _exchange(self, method: str, path: str, body: bytes | None, limit_s: float, key: str) -> Exchanged:
        if method == "GET":
            return Exchanged(200, "OK", (), json.dumps({"rows": GOLDEN}))
        time.sleep(0.003)
        headers = {"content-type": "application/json", "x-model-version": "1.0.0", "x-route-revision": "iris.4"}
        return Exchanged(200, "OK", tuple(headers.items()), json.dumps(GOLDEN[0]["expected"]))


def fill(store: SqliteStore) -> None:
    """Store the models, as the engine left each one in its simulation."""
    for model, seconds in MODELS.items():
        with SqliteStore(Path(":memory:")) as played:
            play_in(played, SCENARIO.model_copy(update={"duration": seconds}), seed=SCENARIO.seed)
            later = NOW - RELEASED_AT - timedelta(seconds=seconds)
            _copy(played, store, {ROUTE: model, "scenario": "alice", **VERSIONS}, later)


def _copy(played: SqliteStore, store: SqliteStore, names: Mapping[str, str], later: timedelta) -> None:
    """The route of a simulation under other names, and so much later."""

    def told(document: Any) -> Any:
        return _renamed(document, names, later)

    model, parent = names[ROUTE], ""
    spec = told(played.route(ROUTE).spec.to_json())
    spec["versions"] = {VERSIONS[name]: version for name, version in spec["versions"].items()}
    store.put_route(model, RouteSpec.model_validate(spec), now=RELEASED_AT, actor="alice")
    for revision in played.revisions(ROUTE):
        made = Revision.model_validate(told(revision.to_json()))
        parent = store.append(made.model_copy(update={"parent": parent})).hash
    for window in played.windows(ROUTE):
        store.add_window(model, Window.model_validate(told(window.to_json())))
    status = Status.model_validate(told(played.status(ROUTE)))
    for one in played.instances():
        instance = Instance.model_validate(told(one.to_json())).model_copy(update={"id": f"{model}/{told(one.id)}"})
        store.report(_down_instance(instance) if model == "fraud" and instance.ref == status.stable else instance)
    changed = _CHANGED[model](status) if model in _CHANGED else status
    store.set_status(model, changed.to_json())


def _renamed(value: Any, names: Mapping[str, str], later: timedelta) -> Any:
    """The document with other names and times in its texts; the names of fields stay."""
    if isinstance(value, Mapping):
        return {key: _renamed(inner, names, later) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names, later) for inner in value]
    if not isinstance(value, str):
        return value
    if TIME.fullmatch(value):
        return (datetime.fromisoformat(value) + later).isoformat()
    return re.sub(rf"\b({'|'.join(names)})\b", lambda found: names[found[0]], value)


def _down(status: Status) -> Status:
    since = NOW - timedelta(minutes=2, seconds=10)
    why = "1.0.0 has no ready instance, so users get errors"
    ready = Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=why, since=since)
    others = tuple(one for one in status.conditions if one.type != "Ready")
    counts = {**status.ready, "stable": 0}
    return status.model_copy(update={"conditions": (ready, *others), "ready": counts, "waiting": ""})


def _waits(status: Status) -> Status:
    condition = Condition(type="Progressing", status=True, reason=Reason.AWAITING_APPROVAL)
    others = tuple(one for one in status.conditions if one.type != "Progressing")
    return status.model_copy(update={"conditions": (*others, condition), "waiting": "an approval of this step"})


_CHANGED: Mapping[str, Callable[[Status], Status]] = {"fraud": _down, "churn": _waits}


def _down_instance(instance: Instance) -> Instance:
    return instance.model_copy(update={"ready": False, "reason": "it ended with exit code 1", "restarts": 4})


@contextlib.contextmanager
def served(store: SqliteStore) -> Iterator[tuple[str, Sessions]]:
    """The address of the console of this store, and who may act there."""
    (port,) = free_ports(1)
    place = Place.of_folder(Path("/srv/shop/.fairlead"), "http://127.0.0.1:8080")
    head = store.head("iris")
    assert head is not None
    reader, sessions = Reader(store, _Loop(), place, drift=counts(head), clock=lambda: NOW), Sessions()
    acting = Acting(sessions, Asking(store), place)
    console = Console(reader, acting=acting, trial=_PlayedTrial("127.0.0.1", 1))
    config = uvicorn.Config(console, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="console")
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}", sessions
    finally:
        console.close()
        server.should_exit = True
        thread.join()


def take(folder: Path) -> list[Path]:
    """Take the pictures into this folder."""
    if why := browser.missing():
        sys.exit(why)
    with (
        tempfile.TemporaryDirectory() as name,
        SqliteStore(Path(name) / "ledger.db") as store,
        browser.running_browser() as running,
    ):
        fill(store)
        with served(store) as (url, sessions):
            return [take_one(running, url, sessions, one, folder / one.file) for one in PICTURES]


def take_one(running: Any, url: str, sessions: Sessions, picture: Picture, to: Path) -> Path:
    """Take one picture of the console at this address."""
    path, size = picture.path, {"width": picture.width, "height": picture.height}
    page = running.new_page(color_scheme=picture.scheme, viewport=size)
    if "churn" in path:
        page.goto(f"{url}/console/sign-in?code={sessions.invite(Actor('alice', True), None)}")
    page.goto(url + path)
    if path.endswith("/try"):
        page.get_by_role("button", name="Send").click()
        page.locator("#headers summary").click()
    else:
        page.get_by_text("live", exact=True).wait_for()
    page.screenshot(path=to)
    page.close()
    return to


if __name__ == "__main__":
    take(FOLDER)

"""Takes the pictures of docs/console.md: the real pages, in a real browser, of models that a simulation rolled out.

python -m docs.console_pictures      with PYTHONPATH=services:tests; needs Debian's package chromium
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from docs.evidence_picture import SCENARIO
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision, Window
from fairlead.contracts.route import RouteSpec
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.rehearsal.frames import ROUTE
from fairlead.rehearsal.virtual.ports import RELEASED_AT
from fairlead.rehearsal.virtual.simulation import play_in
from fairlead.store.sqlite import SqliteStore
from support import browser
from support.processes import free_ports

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
MODELS = {"churn": 40.0, "fraud": 30.0, "iris": 125.0, "prices": 200.0}
"""How many seconds ago each model's release began. That of `prices` was rolled back; `fraud` is down."""
NOW = RELEASED_AT + timedelta(seconds=max(MODELS.values()))
VERSIONS = {"stable": "1.0.0", "candidate": "1.1.0"}
PICTURES = (("console.png", "/", "light", 660), ("console-model.png", "/console/routes/iris", "dark", 1080))
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class _Loop:
    beat = 0.0


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
    store.set_status(model, (_down(status) if model == "fraud" else status).to_json())


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


def _down_instance(instance: Instance) -> Instance:
    return instance.model_copy(update={"ready": False, "reason": "it ended with exit code 1", "restarts": 4})


@contextlib.contextmanager
def served(store: SqliteStore) -> Iterator[str]:
    """The address of the console of this store."""
    (port,) = free_ports(1)
    reader = Reader(store, _Loop(), Place.of_folder(Path("/srv/shop/.fairlead")), clock=lambda: NOW)
    console = Console(reader)
    config = uvicorn.Config(console, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="console")
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
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
        with served(store) as url:
            return [
                _taken(running, url + path, folder / file, scheme, height) for file, path, scheme, height in PICTURES
            ]


def _taken(running: Any, url: str, to: Path, scheme: str, height: int) -> Path:
    page = running.new_page(color_scheme=scheme, viewport={"width": 1100, "height": height})
    page.goto(url)
    page.get_by_text("live", exact=True).wait_for()
    page.screenshot(path=to)
    page.close()
    return to


if __name__ == "__main__":
    take(FOLDER)

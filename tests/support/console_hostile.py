"""Names, reasons and rows that are scripts, on the pages of the console in a real browser: no script runs, nothing is
wider than the window."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from fairlead.contracts.instance import Instance
from fairlead.contracts.profile import Profile
from fairlead.contracts.revision import Cause, Phase, Revision, State
from fairlead.contracts.route import RouteSpec, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.contracts.table import Table
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.control.console.trial import Exchanged, Trial
from fairlead.control.drift import Read
from fairlead.profile import bins
from fairlead.profile.counted import read
from fairlead.store.sqlite import SqliteStore
from fairlead.views.drift import Asked
from support import browser, proof
from support.drift_texts import a_text
from support.processes import free_ports

HOSTILE = (
    '</script><script>window.ran=1</script>"><img src=x onerror="window.ran=1">{{7*7}}'
    '\u202e\u2066\u200f<svg onload="window.ran=1">'
)
LONG = (HOSTILE + "W" * 500)[:500]
MODEL, VERSION = "m" * 40, "1.0.0-" + "v" * 34
"""The longest that are legal: no other characters are."""
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WIDTHS = (1280, 640, 390, 320)
"""640 pixels is a window of 1280 at 200 % zoom."""

_WIDEST = """
(width) => [...document.querySelectorAll("body *")]
  .filter((one) => !one.closest(".scroll, .hidden, .skip") && one.getBoundingClientRect().right > width)
  .map((one) => `${one.tagName}.${one.className}`).at(-1)
"""
"""The innermost element that is wider than the window."""


class _Loop:
    beat = 0.0


class _Counts:
    """A version whose profile has hostile names of features and of slices."""

    count = 1

    def __init__(self, ref: VersionRef) -> None:
        values = np.linspace(0, 1e9, 1000)
        edges = bins.number_edges(values)
        names = (HOSTILE[:80], "W" * 80, "a<b>&amp;'`", "\u202egnp.exe")
        features = [bins.number_feature(name, name, edges, values) for name in names]
        kind = bins.category_feature("kind", "kind", [HOSTILE[:60], "x"] * 500)
        profile = Profile(model=MODEL, version=VERSION, rows=1000, features=(*features, kind))
        live = {one.name: [1000, *[0] * (len(one.bins) - 1)] for one in profile.features}
        problems = (f"instance 1: {LONG}",)
        self._versions: Mapping[VersionRef, Asked] = {ref: Asked("", "", 2, read(a_text(profile, live)), problems)}

    def of(self, model: str, *, wait_s: float = 0.0) -> Read:
        return Read(self.count, self._versions)

    def close(self) -> None:
        pass


class _Trial(Trial):
    """A gateway whose answer is hostile."""

    def _exchange(self, method: str, path: str, body: bytes | None, limit_s: float, key: str) -> Exchanged:
        if method == "GET":
            return Exchanged(404, "Not Found", (), "")
        headers = (("x-model-version", LONG), ("content-type", "text/html"), (LONG, LONG))
        return Exchanged(200, HOSTILE, headers, LONG)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The address of a console with one model."""
    spec = VersionSpec(source=VERSION)
    ref = spec.ref(VERSION)
    with tempfile.TemporaryDirectory() as name, SqliteStore(Path(name) / "ledger.db") as store:
        route = RouteSpec(model=MODEL, versions={VERSION: spec}, target=Target(version=VERSION), strategy=Strategy())
        store.put_route(MODEL, route, now=NOW, actor=LONG)
        state = State(phase=Phase.STABLE, target=ref, entered_at=NOW, attempt=1, step=0)
        table = Table(model=MODEL, stable=ref, candidate=None, weight=0, pins=(ref,), attempt=1)
        fields: dict[str, Any] = {"table": table, "state": state, "created_at": NOW, "actor": LONG, "reason": LONG}
        store.append(Revision(route=MODEL, seq=1, cause=Cause.ROLLED_BACK, generation=1, **fields))
        ready = Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=LONG, since=NOW)
        status: dict[str, Any] = {"stable": ref, "target": ref, "conditions": (ready,), "waiting": LONG}
        store.set_status(MODEL, Status(route=MODEL, observed_generation=1, phase=Phase.STABLE, **status).to_json())
        where: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "observed_at": NOW, "reason": LONG}
        store.report(Instance(id=f"default/{MODEL}/0", model=MODEL, ref=ref, **where))
        reader = Reader(store, _Loop(), Place("here", "--state here", ""), drift=_Counts(ref), clock=lambda: NOW)
        console = Console(reader, trial=_Trial("127.0.0.1", 1))
        (port,) = free_ports(1)
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


def prove(running: Any, found: proof.Findings) -> None:
    """Open every page in light and dark and at all widths, and send a hostile row."""
    ran, wide, rules, complaints = list[str](), list[str](), list[str](), list[str]()
    base = f"/console/routes/{MODEL}"
    with served() as url:
        for path in ("/", base, f"{base}/at?time=2026-01-01T13:00:00Z", f"{base}/drift", f"{base}/try"):
            for scheme in ("light", "dark"):
                page = running.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("dialog", lambda dialog: ran.append(dialog.message))
                page.goto(url + path)
                page.locator("h1").wait_for()
                if path.endswith("/try"):
                    page.locator("#row").fill('{"a": "</textarea><script>window.ran=1</script>"}')
                    page.get_by_role("button", name="Send").click()
                    page.get_by_text("answered by").wait_for()
                page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                rules += browser.broken_rules(page)
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 900})
                    if page.evaluate("document.documentElement.scrollWidth") > width:
                        widest = page.evaluate(_WIDEST, width)
                        wide.append(f"{path.removeprefix(base) or 'model'} {width} px: {widest}")
                if page.evaluate("window.ran") or page.locator("main img").count():
                    ran.append(path)
                page.close()
    found.claim("hostile names, reasons and rows: scripts that ran", "none", "; ".join(ran) or "none", not ran)
    found.claim("pages with them wider than the window", "none", ", ".join(wide) or "none", not wide)
    said = "; ".join([*rules, *complaints]) or "none"
    found.claim("rules that they break, and errors", "none", said, said == "none")

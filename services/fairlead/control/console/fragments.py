"""Makes HTML: whole pages, and the parts of them that are sent again when they change.

All text is escaped by the templates. Text of others is shown as a terminal shows it, so that a character that reorders
text reorders nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairlead import __version__, errors
from fairlead.contracts.action import Action
from fairlead.control.console.memo import Memo
from fairlead.control.console.reading import MOST_SHOWN, SHOWN, Reader
from fairlead.control.console.sessions import Session
from fairlead.control.console.trial import Answer, Presets
from fairlead.logs import shown


class Topic(NamedTuple):
    """What pages of the same content show: a route, and whether one may act from them. The first page has no route.

    With `drift` they show the drift of a version, stable's if none is named, of all rows or of a slice.
    """

    route: str = ""
    acts: bool = False
    drift: bool = False
    version: str = ""
    slice: str = ""


class Seen(NamedTuple):
    """What only one page has: who is signed in, the name of its next request, and the outcome of the last one."""

    session: Session | None = None
    request: str = ""
    outcome: Markup = Markup()


class Tried(NamedTuple):
    """What the form of a model shows: its versions by the name in their path, what was chosen, typed and answered."""

    model: str
    versions: Mapping[str, str]
    version: str
    row: str
    presets: Presets
    is_cold: bool = False
    asks_for_key: bool = False
    answer: Answer | None = None
    problem: errors.FairleadError | None = None


FLEET = Topic()
DRIFT_S = 3.0
"""How long a page that is loaded waits for what instances have counted. What is sent later waits for nothing."""
NOBODY = Seen()
STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


def static_files() -> Mapping[str, bytes]:
    """The files that pages load, by name."""
    folder = resources.files("fairlead.control.console") / "static"
    return {name: (folder / name).read_bytes() for name in STATIC}


class Fragments:
    """Makes the HTML of what `Reader` reads."""

    def __init__(
        self, reader: Reader, files: Mapping[str, bytes], *, can_act: bool = False, can_try: bool = False
    ) -> None:
        self._reader = reader
        self._timelines: Memo[str] = Memo()
        self._environment = Environment(
            loader=PackageLoader("fairlead.control.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_printable,
        )
        # Browsers keep a file for as long as its name is the same.
        stamps = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in files.items()}
        able = {"can_act": can_act, "can_try": can_try}
        self._environment.globals |= {"stamps": stamps, "place": reader.place, "release": __version__, **able}

    def parts(self, topic: Topic) -> dict[str, str]:
        """The parts of a page that change, by name. Raises NotFound when the route has gone."""
        made = self._fleet() if topic == FLEET else self._drift(topic) if topic.drift else self._route(topic, SHOWN)
        return {"notice": self._html("parts/notice.html", notice=self._reader.notice()), **made}

    def fleet(self, seen: Seen = NOBODY) -> str:
        """The first page."""
        notice = {"notice": self._html("parts/notice.html", notice=self._reader.notice())}
        parts = _marked({**notice, **self._fleet()})
        return self._page("fleet.html", "", parts=parts, live="/console/events", seen=seen)

    def page(self, name: str, limit: int = SHOWN, seen: Seen = NOBODY) -> str:
        """The page of a route. `limit` is the number of revisions. Raises NotFound when there is no such route."""
        notice = {"notice": self._html("parts/notice.html", notice=self._reader.notice())}
        limit, topic = max(1, min(limit, MOST_SHOWN)), Topic(name, seen.session is not None)
        parts = _marked({**notice, **self._route(topic, limit)})
        # What is sent again has the usual number of revisions.
        live = f"/console/events?route={name}{'&acts=1' * topic.acts}" if limit == SHOWN else ""
        versions = self._reader.docs(name)
        return self._page("route.html", name, parts=parts, live=live, seen=seen, docs=versions)

    def drift(self, topic: Topic, seen: Seen = NOBODY) -> str:
        """The page of a version's drift. Raises NotFound."""
        notice = {"notice": self._html("parts/notice.html", notice=self._reader.notice())}
        parts = _marked({**notice, **self._drift(topic, wait_s=DRIFT_S)})
        asked = {"route": topic.route, "drift": "1", "version": topic.version, "slice": topic.slice}
        live = f"/console/events?{urlencode(asked)}"
        return self._page("drift.html", topic.route, parts=parts, live=live, seen=seen, asked=topic)

    def at(self, name: str, asked: str, seen: Seen = NOBODY) -> str:
        """The page that says what served at a time. Raises Invalid and NotFound."""
        return self._page("at.html", name, served=self._reader.at(name, asked), seen=seen)

    def tried(self, tried: Tried, seen: Seen = NOBODY) -> str:
        """The page from which a row is sent to a model."""
        return self._page("try.html", tried.model, tried=tried, seen=seen)

    def outcome(self, action: Action, versions: list[str]) -> Markup:
        """What became of a request."""
        html = self._html("parts/outcome.html", action=action, versions=versions)
        return Markup(html)  # noqa: S704 - rendered by the templates

    def refusal(self, error: errors.FairleadError) -> str:
        """Why a request was not carried out, as a part of a page."""
        return self._html("parts/refusal.html", error=error)

    def problem(self, title: str, error: errors.FairleadError, topic: str = "") -> str:
        """The page of a request that cannot be answered."""
        return self._page("problem.html", topic, title=title, error=error)

    def _fleet(self) -> dict[str, str]:
        found = self._reader.fleet()
        drawings = {row.model: Markup(row.drawing) for row in found.rows}  # noqa: S704 - our own SVG, of numbers only
        return {name: self._html(f"parts/{name}.html", fleet=found, drawings=drawings) for name in ("summary", "fleet")}

    def _drift(self, topic: Topic, *, wait_s: float = 0.0) -> dict[str, str]:
        page = self._reader.drift(topic.route, topic.version, topic.slice, wait_s=wait_s)
        return {part: self._html(f"parts/{part}.html", page=page) for part in ("drift-headline", "drift-features")}

    def _route(self, topic: Topic, limit: int) -> dict[str, str]:
        name = topic.route
        entries = self._reader.timeline(name, limit)
        newest = (entries[0].hash if entries else "", limit)
        values = {"topic": name, "entries": entries, "limit": limit, "most": MOST_SHOWN}
        timeline = self._timelines.get(name, newest, lambda _: self._html("parts/timeline.html", **values))
        if self._reader.is_removed(name):
            removed = self._html("parts/removed.html", topic=name)
            gone = dict.fromkeys(("facts", "acts", "now", "evidence"), "")
            return {"headline": removed, **gone, "timeline": timeline}
        route = self._reader.route(name)
        made = {part: self._html(f"parts/{part}.html", route=route) for part in ("headline", "facts", "now")}
        if topic.acts:
            made["acts"] = self._html("parts/acts.html", acts=self._reader.acts(name))
        drawing = Markup(self._reader.evidence(name))  # noqa: S704 - our own SVG, which escapes its texts
        return {**made, "evidence": self._html("parts/evidence.html", drawing=drawing), "timeline": timeline}

    def _page(self, template: str, topic: str, **values: Any) -> str:
        return self._html(template, **{"topic": topic, "live": "", "seen": NOBODY, "now": self._reader.now(), **values})

    def _html(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)


def _marked(parts: Mapping[str, str]) -> dict[str, Markup]:
    return {name: Markup(html) for name, html in parts.items()}  # noqa: S704 - rendered by the templates


def _printable(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

"""Makes HTML: whole pages, and the parts of them that are sent again when they change.

All text is escaped by the templates. Text of others is shown as a terminal shows it, so that a character that reorders
text reorders nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairlead import __version__, errors
from fairlead.control.console.memo import Memo
from fairlead.control.console.reading import MOST_SHOWN, SHOWN, Reader
from fairlead.logs import shown

FLEET = ""
"""The topic of the first page. Every other topic is the name of a route."""
STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


def static_files() -> Mapping[str, bytes]:
    """The files that pages load, by name."""
    folder = resources.files("fairlead.control.console") / "static"
    return {name: (folder / name).read_bytes() for name in STATIC}


class Fragments:
    """Makes the HTML of what `Reader` reads."""

    def __init__(self, reader: Reader, files: Mapping[str, bytes]) -> None:
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
        self._environment.globals |= {"stamps": stamps, "place": reader.place, "release": __version__}

    def parts(self, topic: str) -> dict[str, str]:
        """The parts of a page that change, by name. Raises NotFound when the route has gone."""
        made = self._fleet() if topic == FLEET else self._route(topic, SHOWN)
        return {"notice": self._html("parts/notice.html", notice=self._reader.notice()), **made}

    def page(self, topic: str, limit: int = SHOWN) -> str:
        """A whole page. `limit` is the number of revisions. Raises NotFound when there is no such route."""
        notice = {"notice": self._html("parts/notice.html", notice=self._reader.notice())}
        if topic == FLEET:
            return self._html("fleet.html", topic=topic, parts=_marked({**notice, **self._fleet()}), live=True)
        limit = max(1, min(limit, MOST_SHOWN))
        parts = _marked({**notice, **self._route(topic, limit)})
        # What is sent again has the usual number of revisions.
        return self._html("route.html", topic=topic, parts=parts, live=limit == SHOWN)

    def at(self, name: str, asked: str) -> str:
        """The page that says what served at a time. Raises Invalid and NotFound."""
        return self._html("at.html", topic=name, served=self._reader.at(name, asked), live=False)

    def problem(self, title: str, error: errors.FairleadError) -> str:
        """The page of a request that cannot be answered."""
        return self._html("problem.html", topic=FLEET, title=title, error=error, live=False)

    def _fleet(self) -> dict[str, str]:
        found = self._reader.fleet()
        return {name: self._html(f"parts/{name}.html", fleet=found) for name in ("summary", "fleet")}

    def _route(self, name: str, limit: int) -> dict[str, str]:
        entries = self._reader.timeline(name, limit)
        newest = (entries[0].hash if entries else "", limit)
        values = {"topic": name, "entries": entries, "limit": limit, "most": MOST_SHOWN}
        timeline = self._timelines.get(name, newest, lambda _: self._html("parts/timeline.html", **values))
        if self._reader.is_removed(name):
            removed = self._html("parts/removed.html", topic=name)
            return {"headline": removed, "now": "", "evidence": "", "timeline": timeline}
        route = self._reader.route(name)
        made = {part: self._html(f"parts/{part}.html", route=route) for part in ("headline", "now")}
        drawing = Markup(self._reader.evidence(name))  # noqa: S704 - our own SVG, which escapes its texts
        return {**made, "evidence": self._html("parts/evidence.html", drawing=drawing), "timeline": timeline}

    def _html(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)


def _marked(parts: Mapping[str, str]) -> dict[str, Markup]:
    return {name: Markup(html) for name, html in parts.items()}  # noqa: S704 - rendered by the templates


def _printable(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

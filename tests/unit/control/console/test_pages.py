"""The pages over HTTP: what they answer, and what no page of another site, and no text of others, can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from fairlead.contracts.revision import Cause, Check, Verdict
from fairlead.contracts.status import Condition, Gateway, Reason
from fairlead.control.api import build_api
from fairlead.control.console.pages import HEADERS, Console
from fairlead.control.console.reading import Reader
from fairlead.store.sqlite import SqliteStore
from unit.control.console.scene import (
    CANDIDATE,
    NOW,
    PLACE,
    Elements,
    Loop,
    a_revision,
    a_status,
    a_store,
    an_app,
    an_instance,
    append,
    ask,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"{{7*7}}"
PAGES = ("/", "/console/routes/iris", "/console/routes/iris/at?time=2026-01-01T12:02:30Z")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = a_store(tmp_path)
    append(store, a_revision(1, cause=Cause.CREATED))
    append(store, a_revision(2, weight=1000, actor="ada", reason="the first step"))
    store.set_status("iris", a_status().to_json())
    store.report(an_instance())
    return store


@pytest.fixture
def app(store: SqliteStore) -> ASGIApp:
    return an_app(store)


def test_the_first_page_lists_every_model_with_its_health(app: ASGIApp) -> None:
    answer = ask(app, "/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "1 model: 1 serving; 1 in a rollout" in answer.text
    assert "/console/routes/iris" in answer.text


class Load:
    readings = 2

    def recent(self, namespace: str, model: str) -> Sequence[float]:
        return (0.0, 12.3) if (namespace, model) == ("default", "iris") else ()


def test_the_first_page_draws_the_requests_of_each_model_with_words_for_who_does_not_see_it(
    app: ASGIApp, store: SqliteStore
) -> None:
    reader = Reader(store, Loop(), PLACE, load=Load(), clock=lambda: NOW)
    drawn = ask(build_api(store, Loop(), console=Console(reader)), "/")
    (svg,) = (attributes for tag, attributes in Elements(drawn.text).found if tag == "svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == "12 requests per second now, at most 12 in the last 5 seconds"
    assert "style=" not in drawn.text
    assert "<svg" not in ask(app, "/").text


def test_the_page_of_a_model_has_its_split_its_instances_and_its_revisions(app: ASGIApp) -> None:
    text = ask(app, "/console/routes/iris").text
    assert 'aria-label="1.0.0 90 %, 1.1.0 10 %"' in text
    assert all(what in text for what in ("gateway-1", "the first step", "iris.1", "What served at this time?"))


def test_a_page_says_what_served_at_a_time(app: ASGIApp) -> None:
    text = ask(app, "/console/routes/iris/at?time=2026-01-01T12:01:30Z").text
    assert "1.0.0 served 100 % of the requests." in text
    assert "fairlead history iris --at 2026-01-01T12:01:30Z --state here" in text


def test_a_time_without_a_zone_is_utc(app: ASGIApp) -> None:
    assert "1.1.0 served 10 %" in ask(app, "/console/routes/iris/at?time=2026-01-01T12:02:30").text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/console/routes/rose", 404, "rose"),
        ("/console/routes/iris/at?time=yesterday", 400, "write it like 2026-11-21T10:00:00Z"),
        ("/console/routes/iris/at", 400, "add it to the address: /console/routes/iris/at?time=2026-11-21T10:00:00Z"),
        ("/console/events?route=rose", 404, "rose"),
        ("/console/routes/iris/at?time=2025-01-01T00:00:00Z", 404, "does not reach back"),
        ("/console/routes/rose/at?time=2026-01-01T12:00:00Z", 404, "does not reach back"),
        ("/console/nothing", 404, "no page /console/nothing"),
        ("/console/static/secret", 404, "secret"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_what_to_do(app: ASGIApp, path: str, status: int, says: str) -> None:
    answer = ask(app, path)
    assert answer.status_code == status
    assert says in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/console/{}",
        "/console/static/{}",
        "/console/routes/{}",
        "/console/routes/{}/at?time=2026-01-01T12:00:00Z",
        "/console/routes/{}/x",
        "/console/events?route={}",
    ],
)
def test_a_long_address_is_not_repeated_as_a_whole(app: ASGIApp, path: str) -> None:
    answer = ask(app, path.replace("{}", "x" * 5000))
    assert answer.status_code == 404
    assert "x" * 60 in answer.text
    assert "x" * 100 not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [*PAGES, "/console/events"])
def test_pages_can_only_be_read(app: ASGIApp, path: str, method: str) -> None:
    answer = ask(app, path, method=method)
    assert answer.status_code == 405
    assert "can only be read" in answer.text


@pytest.mark.parametrize("path", [*PAGES, "/console/static/console.js", "/console/nothing", "/console/routes/rose"])
def test_no_page_may_be_framed_or_load_anything_of_others(app: ASGIApp, path: str) -> None:
    headers = ask(app, path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", [*PAGES, "/console/events", "/console/static/console.js"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1"])
def test_a_name_that_was_made_to_lead_here_reads_nothing(app: ASGIApp, path: str, host: str) -> None:
    answer = ask(app, path, host=host)
    assert answer.status_code == 421
    assert "iris" not in answer.text


def test_a_listed_host_is_answered(store: SqliteStore) -> None:
    assert ask(an_app(store, hosts=("console.example",)), "/", host="console.example").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_no_address_outside_and_runs_nothing_inside(app: ASGIApp, path: str) -> None:
    page = Elements(ask(app, path).text)
    addresses = [
        value
        for _, attributes in page.found
        for name, value in attributes.items()
        if name in ("href", "src", "action", "data-live", "srcset", "poster", "formaction")
    ]
    assert addresses
    assert all(re.match(r"^(/(?!/)|#|\?)", one) for one in addresses)
    assert not [one for tag, attributes in page.found for one in attributes if one.startswith("on") or one == "style"]
    assert [attributes["src"] for tag, attributes in page.found if tag == "script"] == [
        next(one for one in addresses if "console.js" in one)
    ]
    assert not [tag for tag, _ in page.found if tag in ("style", "iframe", "object", "embed", "base")]


def test_the_docs_of_each_version_are_linked_where_the_address_of_the_gateway_is_known(store: SqliteStore) -> None:
    place = replace(PLACE, gateway_url="http://127.0.0.1:8080")
    console = Console(Reader(store, Loop(), place))
    links = {one["href"] for tag, one in Elements(ask(console, "/console/routes/iris").text).found if tag == "a"}
    docs = {f"http://127.0.0.1:8080/models/iris/versions/{version}/docs" for version in ("1.0.0", "1.1.0")}
    assert {one for one in links if one.startswith("http")} == docs


@pytest.mark.parametrize("name", ["console.css", "console.js", "icon.svg"])
def test_no_file_of_the_pages_names_an_address_outside(app: ASGIApp, name: str) -> None:
    answer = ask(app, f"/console/static/{name}")
    assert answer.status_code == 200
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", answer.text)


def test_text_of_others_is_shown_and_runs_nothing(store: SqliteStore) -> None:
    check = Check(gate=HOSTILE, verdict=Verdict.FAIL, reason=HOSTILE)
    # The contracts refuse such names of versions and models; reasons, actors and gates are free text.
    append(store, a_revision(3, weight=2500, actor=HOSTILE, reason=HOSTILE, action=HOSTILE, evidence=(check,)))
    store.report(an_instance(CANDIDATE, ready=False, reason=HOSTILE))
    gateway = Gateway(name=HOSTILE, reachable=True, rejected=HOSTILE)
    ready = Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=HOSTILE)
    status = a_status(checks=(check,), waiting=HOSTILE, revision=HOSTILE, gateways=(gateway,), conditions=(ready,))
    store.set_status("iris", status.to_json())
    for path in (*PAGES, "/console/routes/iris/at?time=2026-01-01T12:05:00Z"):
        html = ask(an_app(store), path).text
        page = Elements(html)
        assert [tag for tag, _ in page.found].count("script") == 1
        assert "img" not in [tag for tag, _ in page.found]
        assert not [one for _, attributes in page.found for one in attributes if one.startswith("on")]
        assert "49" not in page.text.replace("2026", "")
    assert page.text.count("<script>alert(1)</script>") >= 3


@pytest.mark.parametrize("name", ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%22%20onload=alert(1)", "..%2F..%2Fetc"])
def test_a_hostile_address_is_refused_and_repeated_as_text(app: ASGIApp, name: str) -> None:
    for path in (f"/console/routes/{name}", f"/console/{name}", f"/console/routes/iris/at?time={name}"):
        answer = ask(app, path)
        assert answer.status_code in (400, 404)
        assert [tag for tag, _ in Elements(answer.text).found].count("script") == 1


def test_characters_that_reorder_text_are_shown_as_escapes(store: SqliteStore) -> None:
    append(store, a_revision(3, weight=2500, actor="ada\u202egnp.exe"))
    text = ask(an_app(store), "/console/routes/iris").text
    assert "\u202e" not in text
    assert "ada\\u202egnp.exe" in text


def test_a_prediction_that_asks_for_an_explanation_gets_no_page(app: ASGIApp) -> None:
    answer = ask(app, "/models/iris/predict", headers={"x-route-explain": "1"})
    assert answer.headers["content-type"] == "application/json"


def test_without_a_console_the_api_has_no_page(store: SqliteStore) -> None:

    assert ask(build_api(store, Loop()), "/").status_code == 404

"""Acting from a page: who may, what becomes of it, and what only looks like a request of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from fairlead import errors
from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.revision import Cause
from fairlead.control.asking import Actor, Asking
from fairlead.control.console.acting import Acting
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.control.console.sessions import Sessions
from support.background import repeat_in_background
from unit.control.console.scene import PLACE, Elements, Loop, a_revision, a_status, a_store, an_app, append, ask

OWN = "http://127.0.0.1:8081"
PAGE, ACT = "/console/routes/iris", "/console/routes/iris/act"
UID = 1000


class Owner:
    """The kernel's answer to whose connection it is."""

    uid: int | None = UID

    def __call__(self, client: object, server: object) -> int | None:
        return self.uid


class Signed:
    """A platform whose owner has signed a browser in."""

    def __init__(self, folder: Path) -> None:
        self.store = a_store(folder)
        append(self.store, a_revision(1, cause=Cause.CREATED))
        append(self.store, a_revision(2, weight=1000))
        self.store.set_status("iris", a_status(stable_ready=1).to_json())
        self.sessions, self.owner = Sessions(), Owner()
        acting = Acting(self.sessions, Asking(self.store, answer_timeout_s=5), PLACE, owner=self.owner)
        self.app: ASGIApp = an_app(self.store, acting=acting)
        self.cookie = self.sign_in().headers["set-cookie"].partition(";")[0]

    def sign_in(self, **query: str) -> httpx.Response:
        code = self.sessions.invite(Actor("ada", True), UID)
        return ask(self.app, str(httpx.URL("/console/sign-in", params={"code": code, **query})))

    def page(self, path: str = PAGE) -> Elements:
        return Elements(ask(self.app, path, headers={"cookie": self.cookie}).text)

    def form(self, verb: str = "rollback", **more: str) -> dict[str, str]:
        """What the browser would send, if a person pressed this button."""
        page = self.page()
        fields = {
            one["name"]: one["value"]
            for tag, one in page.found
            if tag == "input" and one.get("name") in ("token", "request")
        }
        (button,) = (one for tag, one in page.found if tag == "button" and one.get("id") == f"act-{verb}")
        return {**fields, "act": button["value"], "reason": "worse", **more}

    def send(self, form: dict[str, str] | None = None, /, **headers: str | None) -> httpx.Response:
        told = {"cookie": self.cookie, "origin": OWN, "sec-fetch-site": "same-origin", **headers}
        sent = {name.replace("_", "-"): value for name, value in told.items() if value is not None}
        return ask(self.app, ACT, method="POST", headers=sent, form=form if form is not None else self.form())

    def actions(self) -> list[Action]:
        return self.store.actions("iris")


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    signed = Signed(tmp_path)

    def engine() -> None:
        for action in signed.store.actions(outcome=Outcome.PENDING):
            is_late = action.type == "approve"
            outcome, message = (Outcome.REFUSED, "no step waits") if is_late else (Outcome.ACCEPTED, "back to 1.0.0")
            signed.store.finish_action(action.name, outcome, message=message, revision=None if is_late else 3)

    with repeat_in_background(engine, pause_s=0.002):
        yield signed


def test_a_button_asks_for_an_action_in_the_name_of_who_signed_in(signed: Signed) -> None:
    answer = signed.send()
    assert answer.status_code == 303
    (action,) = signed.actions()
    assert (action.type, action.actor, action.actor_verified, action.reason) == ("rollback", "ada", True, "worse")
    assert (action.attempt, action.outcome) == (1, Outcome.ACCEPTED)
    assert "rollback accepted: revision iris.3. back to 1.0.0" in " ".join(
        signed.page(answer.headers["location"].partition("#")[0]).text.split()
    )


def test_the_script_gets_the_outcome_and_the_name_of_the_next_request(signed: Signed) -> None:
    form = signed.form()
    answer = signed.send(form, accept="application/json").json()
    assert "rollback accepted" in answer["html"]
    assert re.fullmatch(r"[0-9a-f]{16}", answer["request"])
    assert answer["request"] != form["request"]


def test_a_refusal_of_the_engine_is_shown_with_its_reason(signed: Signed) -> None:
    answer = signed.send(signed.form() | {"act": "type=approve&attempt=1&step=0"}, accept="application/json").json()
    assert "approve was refused" in answer["html"]
    assert "no step waits" in answer["html"]


def test_a_form_that_is_sent_twice_is_one_action(signed: Signed) -> None:
    form = signed.form()
    with ThreadPoolExecutor(4) as clicks:
        answers = list(clicks.map(lambda _: signed.send(form), range(8)))
    assert {answer.headers.get("location") for answer in answers} == {
        f"/console/routes/iris?asked=rollback-{form['request']}#outcome"
    }
    assert len(signed.actions()) == 1


def test_a_form_cannot_be_used_for_another_request(signed: Signed) -> None:
    form = signed.form()
    signed.send(form)
    changed = signed.send(form | {"act": "type=rollback&attempt=2"})
    assert changed.status_code == 409
    assert len(signed.actions()) == 1


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"origin": None}, "not sent by a page of this console"),
        ({"origin": "null"}, "not sent by a page of this console"),
        ({"origin": "http://evil.example"}, "not sent by a page of this console"),
        ({"origin": "http://127.0.0.1:9999"}, "not sent by a page of this console"),
        ({"origin": "http://localhost:8081"}, "not sent by a page of this console"),
        ({"sec_fetch_site": "same-site"}, "not sent by a page of this console"),
        ({"sec_fetch_site": "cross-site"}, "not sent by a page of this console"),
        ({"sec_fetch_site": "none"}, "not sent by a page of this console"),
        ({"cookie": None}, "nobody is signed in"),
        ({"cookie": "fairlead-00000000=stolen"}, "nobody is signed in"),
    ],
)
def test_what_no_page_of_the_session_sends_does_nothing(
    signed: Signed, headers: dict[str, str | None], says: str
) -> None:
    answer = signed.send(**headers)
    assert answer.status_code == 403
    assert says in answer.text
    assert signed.actions() == []


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"token": ""}, 403, "not of this session"),
        ({"token": "x" * 43}, 403, "not of this session"),
        ({"token": "ä"}, 403, "not of this session"),
        ({"act": ""}, 400, "no request of a page"),
        ({"act": "type=rollback&attempt=1&actor=eve"}, 400, "no request of a page"),
        ({"request": "../../x"}, 400, "no name of its request"),
        ({"request": ""}, 400, "no name of its request"),
        ({"reason": "x" * 1001}, 400, "at most 1,000"),
    ],
)
def test_a_form_that_was_changed_does_nothing(signed: Signed, form: dict[str, str], status: int, says: str) -> None:
    answer = signed.send(signed.form() | form)
    assert answer.status_code == status
    assert says in answer.text
    assert signed.actions() == []


def test_a_form_that_is_too_large_or_of_another_kind_is_refused(signed: Signed) -> None:
    assert signed.send(signed.form() | {"x": "x" * 300_000}).status_code == 400
    headers = {"cookie": signed.cookie, "origin": OWN, "content-type": "text/plain"}
    assert ask(signed.app, ACT, method="POST", headers=headers).status_code == 400
    assert signed.actions() == []


@pytest.mark.parametrize(("uid", "status"), [(UID, 303), (0, 303), (None, 303), (1001, 403)])
def test_a_cookie_that_another_user_of_the_machine_took_is_of_no_use(
    signed: Signed, uid: int | None, status: int
) -> None:
    form = signed.form()
    signed.owner.uid = uid
    assert signed.send(form).status_code == status
    assert len(signed.actions()) == (status == 303)


def test_a_connection_whose_user_the_kernel_does_not_name_is_refused(tmp_path: Path) -> None:
    signed = Signed(tmp_path)
    form = signed.form()

    def unknown(client: object, server: object) -> int | None:
        raise errors.Refused("the kernel does not say whose connection this is")

    acting = Acting(signed.sessions, Asking(signed.store), PLACE, owner=unknown)
    signed.app = an_app(signed.store, acting=acting)
    assert signed.send(form).status_code == 403
    assert signed.actions() == []


def test_a_promotion_needs_the_box_as_well(signed: Signed) -> None:
    refused = signed.send(signed.form("promote"))
    assert refused.status_code == 403
    assert "tick the box" in refused.text
    assert signed.send(signed.form("promote", sure="promote")).status_code == 303
    (action,) = signed.actions()
    assert (action.type, action.even_if_stable_serves, action.even_if_down) == ("promote", True, False)


def test_the_cookie_is_for_the_console_only_and_for_no_script_and_no_other_site(signed: Signed) -> None:
    answer = signed.sign_in(model="iris")
    cookie = answer.headers["set-cookie"].lower()
    assert all(f"; {one}" in cookie for one in ("httponly", "path=/console", "samesite=strict", "max-age=43200"))
    assert answer.headers["location"] == "/console/routes/iris"
    assert answer.headers["cache-control"] == "no-store"


def test_an_address_signs_in_once(signed: Signed) -> None:
    code = signed.sessions.invite(Actor("ada", True), UID)
    assert ask(signed.app, f"/console/sign-in?code={code}").status_code == 303
    again = ask(signed.app, f"/console/sign-in?code={code}")
    assert (again.status_code, "set-cookie" in again.headers) == (403, False)
    assert "fairlead console --act" in again.text


@pytest.mark.parametrize(
    ("method", "headers"),
    [("HEAD", {}), ("GET", {"sec-purpose": "prefetch"}), ("GET", {"sec-purpose": "prefetch;prerender"})],
)
def test_a_browser_that_only_looks_ahead_does_not_use_the_code_up(
    signed: Signed, method: str, headers: dict[str, str]
) -> None:
    code = signed.sessions.invite(Actor("ada", True), UID)
    assert "set-cookie" not in ask(signed.app, f"/console/sign-in?code={code}", method=method, headers=headers).headers
    assert "set-cookie" in ask(signed.app, f"/console/sign-in?code={code}").headers


def test_another_user_who_saw_the_address_cannot_use_it(signed: Signed) -> None:
    code = signed.sessions.invite(Actor("ada", True), UID)
    signed.owner.uid = 1001
    assert ask(signed.app, f"/console/sign-in?code={code}").status_code == 403
    signed.owner.uid = UID
    assert ask(signed.app, f"/console/sign-in?code={code}").status_code == 303


@pytest.mark.parametrize("model", ["//evil.example", "https://evil.example", "..", "\\\\evil"])
def test_signing_in_leads_to_no_other_host(signed: Signed, model: str) -> None:
    assert signed.sign_in(model=model).headers["location"].startswith("/console/routes/")


def test_who_signs_out_is_signed_out(signed: Signed) -> None:
    form = {name: value for name, value in signed.form().items() if name == "token"}
    headers = {"cookie": signed.cookie, "origin": OWN}
    assert ask(signed.app, "/console/sign-out", method="POST", headers=headers, form={"token": "no"}).status_code == 403
    assert "Sign out" in signed.page().text
    assert ask(signed.app, "/console/sign-out", method="POST", headers=headers, form=form).status_code == 303
    assert "Sign out" not in signed.page().text


def test_a_page_that_is_not_signed_in_has_no_button_and_says_how(signed: Signed) -> None:
    page = Elements(ask(signed.app, PAGE).text)
    assert "fairlead console iris --act --state here" in page.text
    assert not [one for tag, one in page.found if tag == "form" and one.get("method") == "post"]


def test_the_enter_key_in_the_reason_presses_no_button(signed: Signed) -> None:
    page = signed.page()
    at = next(at for at, (tag, one) in enumerate(page.found) if tag == "form" and one.get("id") == "act")
    first = next(one for tag, one in page.found[at:] if tag == "button")
    assert "disabled" in first  # a browser then submits nothing


def test_an_action_of_another_model_is_not_shown(signed: Signed) -> None:
    form = signed.form()
    signed.send(form)
    acting: Any = Acting(signed.sessions, Asking(signed.store), PLACE)
    assert acting.action("iris", f"rollback-{form['request']}") is not None
    assert acting.action("rose", f"rollback-{form['request']}") is None
    assert acting.action("iris", "nothing") is None


@pytest.mark.parametrize("path", [ACT, "/console/sign-out", "/console/sign-in"])
def test_in_a_cluster_nobody_acts_and_the_page_says_why(signed: Signed, path: str) -> None:
    console = Console(Reader(signed.store, Loop(), Place.of_namespace("models")))
    method = "GET" if path.endswith("in") else "POST"
    headers = {"origin": OWN, "cookie": signed.cookie}
    assert ask(console, path, method=method, headers=headers).status_code in (404, 405)
    assert "In a cluster this page cannot know who you are" in ask(console, PAGE).text
    assert signed.actions() == []


def test_two_platforms_of_one_host_have_cookies_of_their_own(signed: Signed) -> None:
    there = Acting(signed.sessions, Asking(signed.store), replace(PLACE, name="there"), owner=signed.owner)
    names = [
        ask(app, f"/console/sign-in?code={signed.sessions.invite(Actor('ada', True), UID)}")
        .headers["set-cookie"]
        .partition("=")[0]
        for app in (signed.app, an_app(signed.store, acting=there))
    ]
    assert names[0] != names[1]


def test_who_signs_in_without_a_model_sees_on_the_first_page_who_that_is(signed: Signed) -> None:
    where = signed.sign_in().headers["location"]
    assert where == "/console/"
    text = signed.page(where).text
    assert "Signed in as ada." in text
    assert "1 model: 1 serving" in text

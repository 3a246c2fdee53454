"""The console of a whole platform over HTTP: real processes, a real Envoy, the real command line."""

from __future__ import annotations

import getpass
import html
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.health import health_of
from fairlead.contracts.status import Reason
from fairlead.store.statuses import read_status
from support.console_page import open_page
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import DOUBLER, Platform, doublers, running_platform, users
from support.processes import wait_until

STEPS = [{"weight": 1000, "minDuration": "100ms", "approval": True}]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", model="alone", strategy={"minRequests": 0})
    models |= doublers(folder, "1.0.0", "1.1.0", model="canary", strategy={"steps": STEPS, "minRequests": 0})
    models |= doublers(folder, "1.0.0", "1.1.0", model="acted", strategy={"steps": STEPS, "minRequests": 0})
    lasting = {"steps": [{"weight": 5000, "minDuration": "1h"}]}
    models |= doublers(folder, "1.0.0", "1.1.0", model="spoilt", strategy=lasting)
    with running_platform(folder, models) as platform:
        yield platform


def test_up_prints_the_address_first_and_the_command_prints_it_again(platform: Platform) -> None:
    lines = platform.process.log.read_text().splitlines()
    (after,) = (at for at, line in enumerate(lines) if line.startswith("up after"))
    assert lines[after + 1].split() == ["console", f"{platform.control_url}/"]
    assert platform.command("console").strip() == f"{platform.control_url}/"
    assert platform.command("console", "canary").strip() == f"{platform.control_url}/console/routes/canary"


def test_an_open_page_follows_a_rollout_and_its_rollback(platform: Platform) -> None:
    with open_page(platform.control_url, "canary") as page:
        wait_until(lambda: page.shows("headline", "canary is serving"), "the page is sent")
        platform.command("release", "canary", "1.1.0")
        wait_until(lambda: page.shows("now", 'aria-label="1.0.0 90 %, 1.1.0 10 %"'), "the page shows the first weight")
        wait_until(lambda: page.shows("facts", "fairlead approve canary --state "), "the page shows what helps")
        platform.command("rollback", "canary", "--reason", "wrong prices")
        wait_until(lambda: page.shows("timeline", "wrong prices"), "the page shows the rollback")
        wait_until(lambda: page.shows("now", 'aria-label="1.0.0 100 %"'), "the page shows who serves")


def test_an_open_page_follows_a_rollback_by_evidence_and_shows_the_gate_that_decided(platform: Platform) -> None:
    with (
        open_page(platform.control_url, "spoilt") as page,
        OpenLoop(platform.url, rate=40, seconds=90, request=users("spoilt")),
    ):
        platform.command("release", "spoilt", "1.1.0")
        wait_until(lambda: page.shows("now", 'aria-label="1.0.0 50 %, 1.1.0 50 %"'), "the page shows the weight")
        folders.behave(platform.folder / "models" / "spoilt" / "1.1.0", fail=0.8)
        wait_until(lambda: page.shows("timeline", "rolled-back"), "the page shows the rollback", within=80)
        wait_until(lambda: page.shows("now", 'aria-label="1.0.0 100 %"'), "the page shows who serves")
        wait_until(lambda: page.shows("facts", "<dd>Stable</dd>"), "the page shows the phase")
    newest = page.parts["timeline"].partition("</li>")[0]
    assert "open data-opened" in newest
    assert html.escape(platform.head("spoilt").reason) in newest
    (decided,) = (row for row in newest.split("<tr") if "mark fail" in row)
    assert ">errors</th>" in decided
    assert "meter harm reached" in decided
    assert "(400 rolls back)" in decided


def test_the_first_page_draws_what_users_sent(platform: Platform) -> None:
    for _ in range(20):
        httpx.post(f"{platform.url}/models/alone/predict", json={"value": 1.0}).raise_for_status()

    def drawn() -> float:
        page = httpx.get(f"{platform.control_url}/").text
        row = page.partition("/console/routes/alone")[2].partition("</tr>")[0]
        found = re.search(r'aria-label="[0-9.,]+ requests per second now, at most ([0-9.,]+) in', row)
        return float(found[1]) if found else 0

    # Twenty requests within one of the engine's windows of 5 s, or within two of them.
    wait_until(lambda: 1.8 <= drawn() <= 4.2, "the requests are drawn", within=15)


def _awaits_approval(platform: Platform, model: str) -> bool:
    status = read_status(platform.store, model)
    progressing = status.condition("Progressing") if status is not None else None
    return progressing is not None and progressing.reason == Reason.AWAITING_APPROVAL


@contextmanager
def _signed_in(platform: Platform, model: str) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """A browser of the owner, and the fields of the form of its page."""
    with httpx.Client(base_url=platform.control_url, headers={"origin": platform.control_url}) as client:
        page = client.get(platform.command("console", model, "--act").strip(), follow_redirects=True)
        assert page.url.path == f"/console/routes/{model}"
        fields = dict(re.findall(r'name="(token|request)" value="([^"]+)"', page.text))
        buttons = re.findall(r'id="act-(\w+)"[^>]* value="([^"]+)"', page.text)
        yield client, fields | {verb: html.unescape(value) for verb, value in buttons}


def test_the_owner_acts_from_a_page_and_the_ledger_names_the_owner(platform: Platform) -> None:
    platform.command("release", "acted", "1.1.0")
    wait_until(lambda: _awaits_approval(platform, "acted"), "the step waits for an approval")
    with _signed_in(platform, "acted") as (browser, form):
        asked = {"token": form["token"], "request": form["request"], "act": form["approve"], "reason": "looks good"}
        page = browser.post("/console/routes/acted/act", data=asked, follow_redirects=True)
        assert "approve accepted" in page.text
        again = browser.post("/console/routes/acted/act", data=asked, follow_redirects=True)
        assert "approve accepted" in again.text
    (revision,) = (one for one in platform.store.revisions("acted") if one.reason == "looks good")
    assert (revision.actor, revision.actor_verified) == (getpass.getuser(), True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process of another user")
def test_a_cookie_is_of_no_use_to_another_user_of_the_machine(platform: Platform) -> None:
    with _signed_in(platform, "alone") as (browser, form):
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    send = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"origin: {platform.control_url}"]
    send += ["-b", cookie, "--data", f"token={form['token']}", f"{platform.control_url}/console/sign-out"]
    other = subprocess.run(send, user=65534, capture_output=True, text=True, check=True, env=os.environ)
    assert other.stdout == "403"
    mine = subprocess.run(send, capture_output=True, text=True, check=True, env=os.environ)
    assert mine.stdout == "303"


def test_a_row_is_tried_through_the_gateway(platform: Platform) -> None:
    url = f"{platform.control_url}/console/routes/alone/try"
    asked = {"version": "1.0.0", "row": DOUBLER.decode()}
    answer = httpx.post(url, data=asked, headers={"origin": platform.control_url})
    assert "200 OK" in answer.text
    assert "x-route-revision" in answer.text
    assert httpx.post(url, data=asked, headers={"origin": "http://evil.example"}).status_code == 403


def test_an_open_page_says_that_a_model_is_down_within_three_seconds(platform: Platform) -> None:
    with open_page(platform.control_url, "alone") as page, open_page(platform.control_url) as fleet:
        wait_until(lambda: page.shows("headline", "alone is serving"), "the page is sent")
        wait_until(lambda: fleet.shows("fleet", "alone"), "the fleet is sent")
        folders.behave(platform.folder / "models" / "alone" / "1.0.0", broken=True)
        (instance,) = (one for one in platform.store.instances() if one.model == "alone")
        assert instance.pid is not None
        os.kill(instance.pid, signal.SIGKILL)
        wait_until(lambda: health_of(read_status(platform.store, "alone")).is_down, "the status says that it is down")
        since = time.monotonic()
        wait_until(lambda: page.shows("headline", "alone is down"), "the page says so")
        wait_until(lambda: fleet.shows("summary", "1 down"), "the first page says so")
        assert max(page.changed["headline"], fleet.changed["summary"]) - since < 3
        wait_until(lambda: page.shows("facts", "fairlead logs alone"), "the page shows what helps")


def test_the_running_console_only_reads_and_only_under_its_own_name(platform: Platform) -> None:
    assert httpx.get(f"{platform.control_url}/").status_code == 200
    assert httpx.post(f"{platform.control_url}/").status_code == 405
    assert httpx.get(f"{platform.control_url}/", headers={"host": "evil.example"}).status_code == 421


def test_the_gateway_forwards_no_page(platform: Platform) -> None:
    explain = {"x-route-explain": "1"}
    answers = [httpx.get(f"{platform.url}/", headers=headers) for headers in ({}, explain)]
    assert not any("/console/" in answer.text for answer in answers)  # the gateway has a first page of its own
    for path in ("/console/", "/console/routes/canary", "/console/events", "/console/static/console.js"):
        for headers in ({}, explain):
            assert httpx.get(f"{platform.url}{path}", headers=headers).status_code == 404


def test_a_platform_ends_at_once_although_a_page_is_open(tmp_path: Path) -> None:
    with running_platform(tmp_path, {}) as platform:
        # Without models `up` waits for the gateway only.
        wait_until(platform.control_answers, "the control plane answers")
        with open_page(platform.control_url) as page:
            wait_until(lambda: page.shows("summary", "no models yet"), "the page is sent")
            assert platform.stop() == 0
            assert page.ended.wait(5)
            assert page.is_complete, "the control plane waited for the page until it was killed"

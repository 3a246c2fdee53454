"""Measures the console: what open pages cost the control plane and, at full size, what a browser shows and does."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from support import browser, console_acts, console_hostile, console_rollback, proof
from support.console_page import open_page
from support.faults import folders
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import cpu_s, wait_until

TITLE = "the web pages of the control plane, in a real browser"
PAGES = 50
ROUNDS: dict[proof.Size, tuple[int, float]] = {"full": (5, 8.0), "reduced": (2, 3.0)}
"""How often the cost is measured without and with open pages, and for how many seconds each."""
STEPS = [{"weight": weight, "minDuration": "4s"} for weight in (1000, 5000)]
SLOWEST_VIEW_S, SLOWEST_DOWN_S, LARGEST_BYTES = 1.0, 3.0, 200_000
WIDTHS = {"1280 px": 1280, "at 200 % zoom": 640, "390 px": 390, "320 px": 320}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure with a platform of five models. One stays at its first weight, and one is killed at the end."""
    found = proof.Findings()
    models: dict[str, dict[str, object]] = {}
    held = [{"weight": 1000, "minDuration": "1h"}]
    for name, steps in (("canary", held), ("steady", STEPS)):
        models |= doublers(folder, "1.0.0", "1.1.0", model=name, strategy={"steps": steps, "minRequests": 20})
    strategy = {"steps": console_acts.STEPS, "minRequests": 0}
    models |= doublers(folder, "1.0.0", "1.1.0", model=console_acts.MODEL, strategy=strategy)
    if size == "full":
        strategy = {"steps": console_rollback.STEPS}
        models |= doublers(folder, "1.0.0", "1.1.0", model=console_rollback.MODEL, strategy=strategy)
    models |= doublers(folder, "1.0.0", model="alone", strategy={"minRequests": 0})
    with running_platform(folder, models) as platform, _requests(platform, "canary"):
        _cost(platform, found, *ROUNDS[size])
        if size == "full":
            if why := browser.missing():
                raise RuntimeError(why)
            with browser.running_browser() as running:
                owner = console_acts.prove(running, platform, found)
                _views(running, platform, found, owner)
                console_hostile.prove(running, found)
                _try(running, platform, found)
                _rollouts(running, platform, found)
                console_rollback.prove(running, platform, found)
                _keyboard(running, platform, found)
                _down(running, platform, found)
    return found


def _cost(platform: Platform, found: proof.Findings, rounds: int, seconds: float) -> None:
    """The processor time of the control plane, in turn without and with open pages, while a rollout is in progress."""
    platform.command("release", "canary", "1.1.0")
    platform.wait_for("canary", "the first weight", weight=1000)
    pid = platform.children()["control-plane"]
    alone, watched = list[float](), list[float]()
    for _ in range(rounds):
        alone.append(_part_of_a_core(pid, seconds))
        with contextlib.ExitStack() as pages:
            opened = [pages.enter_context(open_page(platform.control_url, "canary")) for _ in range(PAGES)]
            wait_until(lambda: all(page.shows("headline", "canary") for page in opened), "every page is sent")  # noqa: B023
            watched.append(_part_of_a_core(pid, seconds))
    found.numbers["core"] = {"without": alone, "with": watched}
    found.note("control plane, no page open", f"{statistics.median(alone):.1%} of a core")
    cost = statistics.median(b - a for a, b in zip(alone, watched, strict=True))
    found.claim(f"{PAGES} open pages of a rollout, besides", "under 5 % of a core", f"{cost:.1%}", cost < 0.05)


def _part_of_a_core(pid: int, seconds: float) -> float:
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - began)


@contextlib.contextmanager
def _requests(platform: Platform, model: str, per_s: float = 40) -> Iterator[None]:
    """Predictions by different users, one after the other."""
    ending = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=platform.url, timeout=10) as client:
            number = 0
            while not ending.wait(1 / per_s):
                number += 1
                headers = {"content-type": "application/json", "x-user-id": f"user-{number}"}
                client.post(f"/models/{model}/predict", content=DOUBLER, headers=headers)

    thread = threading.Thread(target=send, name="requests")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextlib.contextmanager
def _opened(running: Any, url: str, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and every complaint of the browser about it: errors, and requests that leave the platform."""
    context = running.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page, complaints = context.new_page(), list[str]()
    origin = "/".join(url.split("/")[:3])
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(origin) else complaints.append(sent.url))
    try:
        page.goto(url, wait_until="load")
        yield page, complaints
    finally:
        context.close()


def _views(running: Any, platform: Platform, found: proof.Findings, owner: Any) -> None:
    """Time, size, contrast, accessibility and width of the pages, in light and dark. `owner` signs the browser in."""
    slowest, largest, complaints, rules, wide = 0.0, 0, list[str](), list[str](), list[str]()
    contrasts: dict[str, float] = {}
    at = f"/console/routes/canary/at?time={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    read = dict.fromkeys(
        ("/", "/console/routes/canary", at, "/console/routes/canary/try", "/console/routes/canary/drift")
    )
    for path, state in {**read, f"/console/routes/{console_acts.MODEL}": owner}.items():
        for scheme in ("light", "dark"):
            options = {"color_scheme": scheme, "storage_state": state}
            with _opened(running, f"{platform.control_url}{path}", **options) as (page, said):
                timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
                files = page.evaluate("performance.getEntriesByType('resource').map((one) => one.encodedBodySize)")
                slowest = max(slowest, timing["loadEventEnd"] / 1000)
                largest = max(largest, timing["encodedBodySize"] + sum(files))
                contrast, text = page.evaluate(browser.CONTRAST)
                contrasts[f"{path} {scheme}: {text}"] = contrast
                rules += browser.broken_rules(page)
                for name, width in WIDTHS.items():
                    page.set_viewport_size({"width": width, "height": 900})
                    if page.evaluate("document.documentElement.scrollWidth") > width:
                        wide.append(f"{path} {name}")
                complaints += said
    lowest = min(contrasts, key=lambda one: contrasts[one])
    found.claim("first view, the slowest", "under 1 s", f"{slowest * 1000:.0f} ms", slowest < SLOWEST_VIEW_S)
    found.claim("page with its files, the largest", "under 200 kB", f"{largest / 1000:.0f} kB", largest < LARGEST_BYTES)
    found.claim("lowest contrast of a text", "at least 4.5", f"{contrasts[lowest]:.1f}", contrasts[lowest] >= 4.5)
    found.claim("rules of axe-core that are broken", "none", "; ".join(rules) or "none", not rules)
    found.claim("pages wider than the window", "none", ", ".join(wide) or "none", not wide)
    found.claim("errors, and requests to other hosts", "none", "; ".join(complaints) or "none", not complaints)
    with _opened(running, f"{platform.control_url}/console/routes/canary", java_script_enabled=False) as (page, _):
        has_all = all(page.get_by_text(text).count() for text in ("Who gets the requests", "canary.1", "Gateways"))
        found.claim("the page without JavaScript", "shows the same", "yes" if has_all else "no", has_all)


def _try(running: Any, platform: Platform, found: proof.Findings) -> None:
    """A golden row, sent with the mouse."""
    with _opened(running, f"{platform.control_url}/console/routes/alone/try") as (page, complaints):
        page.locator("#row").fill(DOUBLER.decode())
        page.get_by_role("button", name="Send").click()
        page.get_by_text("200 OK").wait_for()
        shown = page.locator("#answer").inner_text()
        rules = browser.broken_rules(page)
        works = "1.0.0" in shown and "42" in shown and not rules and not complaints
        found.claim("a row is tried, and its answer shown", "yes", "yes" if works else f"{shown} {rules}", works)


def _rollouts(running: Any, platform: Platform, found: proof.Findings) -> None:
    """A canary from its first weight to its promotion and a rollback, on pages that are never loaded again."""
    with (
        _requests(platform, "steady"),
        _opened(running, f"{platform.control_url}/console/routes/steady") as (page, complaints),
    ):
        split, timeline, seen = page.locator(".split"), page.locator(".timeline"), list[str]()

        def promoted() -> bool:
            shown = split.get_attribute("aria-label")
            if shown not in seen:
                seen.append(shown)
            return "promoted" in timeline.inner_text()

        page.evaluate("window.loadedOnce = true")
        browser.wait_in(page, lambda: not promoted() and seen[-1] == "1.0.0 100 %", "the page shows stable")
        platform.command("release", "steady", "1.1.0")
        browser.wait_in(page, promoted, "the page shows the promotion", 120)
        browser.wait_in(page, lambda: promoted() and seen[-1] == "1.1.0 100 %", "the page shows who serves")
        expected = ["1.0.0 100 %", "1.0.0 90 %, 1.1.0 10 %", "1.0.0 50 %, 1.1.0 50 %", "1.1.0 100 %"]
        shown = [one for one in seen if one in expected]
        found.claim("a canary on an open page", " > ".join(expected), " > ".join(shown), shown == expected)
        has_drawing = page.locator(".drawing svg").count() == 1
        found.claim("its evidence is drawn", "yes", "yes" if has_drawing else "no", has_drawing)
        platform.command("rollback", "steady", "--reason", "wrong prices")
        seconds = browser.wait_in(page, lambda: "rolled-back" in timeline.inner_text(), "the page shows the rollback")
        found.claim("a rollback, until it is shown", "under 3 s", f"{seconds:.1f} s", seconds < SLOWEST_DOWN_S)
        is_same = bool(page.evaluate("window.loadedOnce === true")) and not complaints
        found.claim("the page was loaded once, without errors", "yes", "yes" if is_same else "no", is_same)


def _keyboard(running: Any, platform: Platform, found: proof.Findings) -> None:
    """With the keyboard alone: skip to the content, unfold a revision, ask for a time. What is unfolded stays so."""
    with _opened(running, f"{platform.control_url}/console/routes/steady") as (page, _):
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        first = page.evaluate(f"{focused}.textContent")
        reached, tabs = False, 0
        while not reached and tabs < 60:
            page.keyboard.press("Tab")
            tabs += 1
            reached = page.evaluate(f"{focused}.matches('.timeline summary')")
        page.keyboard.press("Enter")
        opened = page.evaluate(f"{focused}.parentElement.open")
        kept = page.evaluate(
            """() => {
              const part = document.querySelector('[data-part="timeline"]');
              const id = part.querySelector("details[open]").id;
              replace("timeline", part.innerHTML.replace(' open=""', "") + " ");
              return document.getElementById(id).open;
            }"""
        )
        page.locator("#time").focus()
        page.keyboard.type("2026-01-01T00:00:00Z")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        asked = "does not reach back" in page.locator("main").inner_text()
        works = first == "Skip to the content" and opened and kept and asked
        found.numbers["keyboard"] = {"first": first, "tabs": tabs, "opened": opened, "kept": kept, "asked": asked}
        found.claim("everything with the keyboard alone", "yes", "yes" if works else "no", works)


def _down(running: Any, platform: Platform, found: proof.Findings) -> None:
    """From the moment that the only instance of stable is killed."""
    with (
        _opened(running, f"{platform.control_url}/console/routes/alone") as (page, _),
        _opened(running, f"{platform.control_url}/") as (fleet, _),
    ):
        (instance,) = (one for one in platform.store.instances() if one.model == "alone")
        folders.behave(platform.folder / "models" / "alone" / "1.0.0", broken=True)
        assert instance.pid is not None
        os.kill(instance.pid, signal.SIGKILL)
        headline, summary = page.locator("[data-part=headline]"), fleet.locator("[data-part=summary]")
        seconds = browser.wait_in(page, lambda: "alone is down" in headline.inner_text(), "the page says so")
        seconds += browser.wait_in(fleet, lambda: "1 down" in summary.inner_text(), "the first page says so")
        found.claim("stable is killed, until both pages say so", "under 3 s", f"{seconds:.1f} s", seconds < 3)
        rules = browser.broken_rules(page) + browser.broken_rules(fleet)
        found.claim("rules that the pages break then", "none", "; ".join(rules) or "none", not rules)
        title = page.title()
        found.claim("the title of the tab", "alone: down", title, title.startswith("alone: down"))


if __name__ == "__main__":
    proof.run("console", TITLE, prove)

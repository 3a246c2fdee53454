"""A candidate goes wrong under load, and a page that nobody loads again shows how evidence rolls it back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from support import browser, proof
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import Platform, users

MODEL = "spoilt"
"""A model with 1.0.0 and 1.1.0, whose steps last so long that only evidence ends them."""
STEPS = [{"weight": weight, "minDuration": "1h"} for weight in (1000, 5000)]
RATE, FAILS = 40.0, 0.5
"""Requests per second, and the share of its requests that the candidate fails once it goes wrong."""
WITHIN_S = 120.0


def prove(running: Any, platform: Platform, found: proof.Findings) -> None:
    """The weights, the phase, the gate with its evidence and the reason, in the order in which the page shows them."""
    page = running.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(f"{platform.control_url}/console/routes/{MODEL}", wait_until="load")
        page.evaluate("window.loadedOnce = true")
        with OpenLoop(platform.url, rate=RATE, seconds=2 * WITHIN_S, request=users(MODEL)) as load:
            _follow(page, platform, found)
            load.stop()
            summary = load.result()
        found.claim(
            "what users got meanwhile, bad answers", "0", f"{summary.failed} of {summary.sent:,}", summary.failed == 0
        )
        _shown(page, platform, found)
    finally:
        page.close()


def _follow(page: Any, platform: Platform, found: proof.Findings) -> None:
    split, facts, seen = page.locator(".split"), page.locator("[data-part=facts]"), list[str]()

    def shows(weights: str, phase: str) -> bool:
        shown = f"{split.get_attribute('aria-label')}, {facts.locator('dd').nth(1).inner_text()}"
        if shown not in seen[-1:]:
            seen.append(shown)
        return shown == f"{weights}, {phase}"

    browser.wait_in(page, lambda: shows("1.0.0 100 %", "Stable"), "the page shows stable")
    platform.command("release", MODEL, "1.1.0")
    browser.wait_in(page, lambda: shows("1.0.0 90 %, 1.1.0 10 %", "Canary"), "the page shows the first weight")
    folders.behave(platform.folder / "models" / MODEL / "1.1.0", fail=FAILS)
    began = time.monotonic()
    browser.wait_in(page, lambda: shows("1.0.0 100 %", "Stable"), "the page shows that the weight is 0", WITHIN_S)
    seconds, late = time.monotonic() - began, datetime.now(UTC) - platform.head(MODEL).created_at
    expected = ["1.0.0 100 %, Stable", "1.0.0 90 %, 1.1.0 10 %, Canary", "1.0.0 100 %, Stable"]
    steps = [one for one in seen if one in expected]
    found.claim(
        "a candidate that goes wrong, on an open page", " > ".join(expected), " > ".join(steps), steps == expected
    )
    found.note(f"it fails {FAILS:.0%} at {RATE:g} requests/s, until the page shows weight 0", f"{seconds:.1f} s")
    found.claim(
        "a rollback by evidence, until the page shows it",
        "under 3 s",
        f"{late.total_seconds():.1f} s",
        late.total_seconds() < 3,
    )


def _shown(page: Any, platform: Platform, found: proof.Findings) -> None:
    """The newest revision is unfolded: the gate that decided, its evidence over its threshold, and the reason."""
    newest = page.locator(".timeline > li").first
    browser.wait_in(page, lambda: "rolled-back" in newest.inner_text(), "the timeline shows the rollback")
    head = platform.head(MODEL)
    (check,) = (one for one in head.evidence if one.verdict == "fail")
    row = newest.locator("tr", has=page.locator(".mark.fail"))
    gates = row.locator("th").all_inner_texts()
    found.claim("the gate that decided", check.gate, ", ".join(gates), gates == [check.gate])
    meter = row.locator("[data-label='evidence of harm']")
    told = " ".join(meter.inner_text().split())
    is_over = check.numbers["log_harm"] > check.numbers["harm_at"] and meter.locator(".meter.reached").count() == 1
    found.claim("its evidence, over its threshold", "yes", told, is_over and "rolls back" in told)
    reason = newest.locator("dd", has_text=head.reason).is_visible()
    found.claim("the reason is shown without a click", "yes", "yes" if reason else "no", reason)
    is_same = bool(page.evaluate("window.loadedOnce === true"))
    rules = browser.broken_rules(page)
    found.claim("that page was loaded once", "yes", "yes" if is_same else "no", is_same)
    found.claim("rules of axe-core that it breaks", "none", "; ".join(rules) or "none", not rules)

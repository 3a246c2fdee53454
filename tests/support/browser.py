"""A real browser: Debian's chromium, driven by the environment of requirements/browser.txt."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from support import environments

PROGRAM = "chromium"
CONTRAST = """
() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const found = channels(getComputedStyle(one).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const seen = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const one = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !one.checkVisibility() || one.closest(".skip")) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(channels(one.closest("svg") ? style.fill : style.color)), light(behind(one))];
    seen.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walk.currentNode.data.trim().slice(0, 40)]);
  }
  return seen.sort((one, other) => one[0] - other[0])[0];
}
"""
"""The lowest contrast of a text to what is behind it, and the text."""


def missing() -> str:
    """What must be installed first; empty if nothing."""
    return "" if shutil.which(PROGRAM) else "chromium: on Debian, apt-get install chromium"


@contextlib.contextmanager
def running_browser() -> Iterator[Any]:
    """Chromium without a window, as playwright's Browser. Its pages reach loopback only."""
    environments.add(environments.packages("browser"))
    api = importlib.import_module("playwright.sync_api")
    with api.sync_playwright() as driver:
        # A container has no user namespaces for chromium's own sandbox, and the pages are ours.
        arguments = ["--no-sandbox", "--proxy-server=127.0.0.1:1", "--proxy-bypass-list=127.0.0.1"]
        browser = driver.chromium.launch(executable_path=shutil.which(PROGRAM), args=arguments, env=dict(os.environ))
        try:
            yield browser
        finally:
            browser.close()


def wait_in(page: Any, holds: Callable[[], bool], what: str, within_s: float = 60) -> float:
    """Wait until something holds, and let the page work meanwhile. Returns the seconds. Raises TimeoutError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        page.wait_for_timeout(50)
    return time.monotonic() - began


def broken_rules(page: Any) -> list[str]:
    """The rules of axe-core that the page breaks, with the first element of each."""
    axe = importlib.import_module("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}" for one in found]

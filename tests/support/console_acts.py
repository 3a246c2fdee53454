"""A person acts from the console in a real browser: with the mouse, with the keyboard, without JavaScript, and as the
prey of pages of other origins."""

from __future__ import annotations

import contextlib
import html
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

from support import browser, proof
from support.platform import Platform

MODEL = "gated"
"""A model with 1.0.0 and 1.1.0, whose first step waits for an approval and whose second one lasts."""
STEPS = [{"weight": 1000, "minDuration": "100ms", "approval": True}, {"weight": 5000, "minDuration": "1h"}]
FOCUSED = "document.activeElement"


def prove(running: Any, platform: Platform, found: proof.Findings) -> Any:
    """Every claim about acting. Returns what signs another context of the browser in."""
    context = running.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.goto(platform.command("console", MODEL, "--act").strip())
        _approve(page, platform, found)
        _double_click(page, platform, found)
        _keyboard(page, platform, found)
        state = context.storage_state()
        _without_script(running, state, platform, found)
        _other_origins(context, page, platform, found)
        return state
    finally:
        context.close()


def _asked(platform: Platform) -> list[str]:
    return [action.type.value for action in platform.store.actions(MODEL)]


def _outcome(page: Any, text: str) -> float:
    outcome = page.locator("#outcome")
    return browser.wait_in(page, lambda: text in outcome.inner_text(), f"the page says {text!r}")


def _settled(page: Any) -> None:
    """Wait until the page takes a press: after its buttons have changed it takes none."""
    has_settled = "performance.now() - changed > SETTLED_MS"
    browser.wait_in(page, lambda: page.evaluate(has_settled), "the buttons stay as they are")


def _say(found: proof.Findings, what: str, holds: bool) -> None:
    found.claim(what, "yes", "yes" if holds else "no", holds)


def _approve(page: Any, platform: Platform, found: proof.Findings) -> None:
    platform.command("release", MODEL, "1.1.0")
    page.locator("#act-approve").wait_for()
    page.locator("#reason").fill("looks right")
    _settled(page)
    page.evaluate("window.loadedOnce = true; scrollTo(0, 60)")
    page.locator("#act-approve").click()
    seconds = _outcome(page, "approve accepted")
    found.claim("approve with the mouse, until the answer is shown", "under 3 s", f"{seconds:.1f} s", seconds < 3)
    revisions = [one for one in platform.store.revisions(MODEL) if one.reason == "looks right"]
    has_place = page.evaluate("window.loadedOnce === true && scrollY > 0")
    _say(found, "the ledger has the reason and the verified name", [one.actor_verified for one in revisions] == [True])
    _say(found, "the page was not loaded again, and kept its place", has_place)
    browser.wait_in(page, lambda: page.locator("#act-approve").count() == 0, "the button has gone")


def _double_click(page: Any, platform: Platform, found: proof.Findings) -> None:
    _settled(page)
    page.locator("#act-pause").dblclick()
    _outcome(page, "pause accepted")
    page.locator("#act-resume").wait_for()
    found.claim(
        "a double click, requests", "1", str(_asked(platform).count("pause")), _asked(platform).count("pause") == 1
    )


def _keyboard(page: Any, platform: Platform, found: proof.Findings) -> None:
    """From the top of the page: type a reason, press Enter there, go to the button, press Enter."""
    page.evaluate(f"{FOCUSED}.blur(); scrollTo(0, 0)")
    before = _asked(platform)
    reached = _tab_to(page, "reason")
    page.keyboard.type("wrong prices")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    nothing = _asked(platform) == before
    reached = reached and _tab_to(page, "act-rollback")
    _settled(page)
    page.keyboard.press("Enter")
    _outcome(page, "rollback accepted")
    _say(found, "roll back with the keyboard alone; Enter in the reason sends nothing", reached and nothing)
    page.locator("#act-retry").wait_for()


def _tab_to(page: Any, identifier: str) -> bool:
    for _ in range(60):
        if page.evaluate(f"{FOCUSED}.id") == identifier:
            return True
        page.keyboard.press("Tab")
    return False


def _without_script(running: Any, state: Any, platform: Platform, found: proof.Findings) -> None:
    context = running.new_context(java_script_enabled=False, storage_state=state)
    try:
        page = context.new_page()
        page.goto(f"{platform.control_url}/console/routes/{MODEL}")
        page.locator("#act-retry").click()
        shown = page.locator("#outcome").inner_text()
        _say(found, "try again without JavaScript; the page that is loaded shows the answer", "retry accepted" in shown)
    finally:
        context.close()


def _other_origins(context: Any, page: Any, platform: Platform, found: proof.Findings) -> None:
    """Pages that know even the token: of another port of the same host, and of another site."""
    page.reload()
    page.locator("#act-rollback").wait_for()
    url = f"{platform.control_url}/console/routes/{MODEL}/act"
    fields = {name: page.locator(f"#act [name={name}]").first.get_attribute("value") for name in ("token", "request")}
    fields["act"] = page.locator("#act-rollback").get_attribute("value")
    before, answers, framed = _asked(platform), list[int](), 0
    with _hostile(url, {name: str(value) for name, value in fields.items()}) as port:
        for host in ("127.0.0.1", "localhost"):
            visited = context.new_page()
            visited.on("response", lambda one: answers.append(one.status) if one.url == url else None)
            visited.goto(f"http://{host}:{port}/")
            visited.wait_for_url(url)  # its form was sent, and answered
            visited.goto(f"http://{host}:{port}/frame")
            visited.wait_for_timeout(500)
            framed += sum(one.url.startswith(platform.control_url) for one in visited.frames)
            visited.close()
    refused = len(answers) == 4 and set(answers) == {403} and not framed
    _say(found, "scripts, forms and frames of other origins, with the token: refused", refused)
    did = len(_asked(platform)) - len(before)
    found.claim("actions that they caused", "0", str(did), did == 0)


@contextlib.contextmanager
def _hostile(url: str, fields: dict[str, str]) -> Iterator[int]:
    """The port of a page that sends this form as soon as it is open, and of one that frames the page of the model."""
    inputs = "".join(f'<input type="hidden" name="{name}" value="{html.escape(fields[name])}">' for name in fields)
    body = f"new URLSearchParams({json.dumps(fields)})"
    sends = f"fetch('{url}', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: {body}}})"
    form = f'<form method="post" action="{url}">{inputs}</form>'
    pages = {
        "/": f"{form}<script>{sends}.catch(() => 0).then(() => document.forms[0].submit())</script>",
        "/frame": f'<iframe src="{url.removesuffix("/act")}"></iframe>',
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the page has left

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A row that is tried, through a gateway that is a small server here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.revision import Cause
from fairlead.control.console.trial import MAX_ANSWER_BYTES, MAX_AT_A_TIME, Presets, Trial, typed
from unit.control.console.scene import Elements, a_revision, a_status, a_store, an_app, append, ask

GOLDEN = {"rows": [{"input": {"x": 1.0}, "expected": 2.0}, {"input": {"x": "ä\u00a0"}, "expected": 4.0}], "rtol": 1e-5}
TRY = "/console/routes/iris/try"


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.read: list[str] = []
        self.keys: list[str | None] = []
        self.answer = b"2.0"
        self.status = 200
        self.held = threading.Event()
        self.held.set()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client has left


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self.server.read.append(self.path)
        self.server.keys.append(self.headers["x-api-key"])
        self._reply(200, json.dumps(GOLDEN).encode())

    def do_POST(self) -> None:
        self.server.keys.append(self.headers["x-api-key"])
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.asked.append((self.path, body, self.headers["content-type"]))
        self.server.held.wait(20)
        self._reply(self.server.status, self.server.answer)

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("x-model-version", "1.0.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    thread = threading.Thread(target=gateway.serve_forever, args=(0.01,))
    thread.start()
    yield gateway
    gateway.held.set()
    gateway.shutdown()
    gateway.server_close()
    thread.join()


class Page:
    """The form of iris, in front of this gateway."""

    def __init__(self, folder: Path, gateway: Gateway, *, asks_for_key: bool = False, is_cold: bool = False) -> None:
        store = a_store(folder)
        append(store, a_revision(1, cause=Cause.CREATED))
        head = a_revision(2, weight=0 if is_cold else 1000)
        table = head.table.model_copy(update={"cold": (head.table.stable,) if is_cold else ()})
        append(store, head.model_copy(update={"table": table}))
        store.set_status("iris", a_status().to_json())
        self.app = an_app(store, trial=Trial("127.0.0.1", gateway.server_port, asks_for_key=asks_for_key))

    def send(
        self, row: str, version: str = "1.0.0", origin: str | None = "http://127.0.0.1:8081", **more: str
    ) -> httpx.Response:
        headers = {"origin": origin} if origin is not None else {}
        return ask(self.app, TRY, method="POST", headers=headers, form={"row": row, "version": version, **more})


@pytest.fixture
def page(tmp_path: Path, gateway: Gateway) -> Page:
    return Page(tmp_path, gateway)


def test_the_form_begins_with_the_first_golden_row_of_stable_and_has_the_others(page: Page) -> None:
    found = ask(page.app, TRY)
    assert found.status_code == 200
    assert '"x": 1.0' in Elements(found.text).text
    assert '"x": "ä\\u00a0"' in Elements(ask(page.app, f"{TRY}?version=1.1.0&row=2").text).text


def test_the_answer_is_shown_with_who_gave_it_and_whether_it_is_the_golden_one(page: Page, gateway: Gateway) -> None:
    text = " ".join(Elements(page.send('{"x":1.0}').text).text.split())
    assert all(one in text for one in ("200 OK", "answered by1.0.0", "answered as expected", "x-model-version"))
    assert gateway.asked == [("/models/iris/versions/1.0.0/predict", '{"x":1.0}', "application/json")]


def test_an_answer_that_is_not_the_golden_one_says_how_it_differs(page: Page, gateway: Gateway) -> None:
    gateway.answer = b"3.0"
    assert "expected 2.0, got 3.0" in page.send('{"x": 1}').text


def test_if_the_weights_choose_the_path_names_no_version(page: Page, gateway: Gateway) -> None:
    page.send("{}", version="")
    assert gateway.asked[0][0] == "/models/iris/predict"


@pytest.mark.parametrize("version", ["9.9.9", "../../admin", "1.0.0/../../x", "1.0.0?x=1", "\r\nx: y"])
def test_a_version_that_does_not_serve_is_not_asked(page: Page, gateway: Gateway, version: str) -> None:
    assert page.send("{}", version=version).status_code == 404
    assert gateway.asked == []


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_page_of_another_site_sends_nothing(page: Page, gateway: Gateway, origin: str | None) -> None:
    assert page.send("{}", origin=origin).status_code == 403
    assert gateway.asked == []


def test_what_is_not_json_is_not_sent_and_what_was_typed_stays(page: Page, gateway: Gateway) -> None:
    answer = page.send('{"x": <b>')
    assert answer.status_code == 400
    assert "the row is not JSON" in answer.text
    assert '{"x": <b>' in Elements(answer.text).text
    assert gateway.asked == []


def test_an_error_of_the_model_is_shown_as_it_is(page: Page, gateway: Gateway) -> None:
    gateway.status, gateway.answer = 422, b'{"detail": "<script>x</script> is missing"}'
    answer = page.send("{}")
    assert answer.status_code == 200
    assert "422" in answer.text
    assert [tag for tag, _ in Elements(answer.text).found].count("script") == 1


def test_a_large_answer_is_cut_and_a_very_large_one_not_shown(page: Page, gateway: Gateway) -> None:
    gateway.answer = b'"' + b"x" * 100_000 + b'"'
    answer = page.send("{}")
    assert "The rest of the answer is not shown." in answer.text
    assert len(answer.text) < 60_000
    gateway.answer = b"x" * (MAX_ANSWER_BYTES + 1)
    assert page.send("{}").status_code == 503


def test_a_gateway_that_is_away_is_told(tmp_path: Path, gateway: Gateway) -> None:
    page = Page(tmp_path, gateway)
    gateway.shutdown()
    gateway.server_close()
    found = ask(page.app, TRY)
    assert found.status_code == 200
    assert "the gateway did not answer" in found.text
    assert page.send("{}").status_code == 503


@contextmanager
def held(gateway: Gateway, trial: Trial, count: int) -> Iterator[None]:
    gateway.held.clear()
    threads = [threading.Thread(target=trial.send, args=("iris", "1.0.0", "{}", 20.0, Presets())) for _ in range(count)]
    for one in threads:
        one.start()
    yield
    gateway.held.set()
    for one in threads:
        one.join()


def test_only_a_few_rows_are_tried_at_the_same_time(gateway: Gateway) -> None:
    trial = Trial("127.0.0.1", gateway.server_port)
    with held(gateway, trial, MAX_AT_A_TIME):
        while len(gateway.asked) < MAX_AT_A_TIME:
            threading.Event().wait(0.005)
        with pytest.raises(errors.Unavailable, match="are being answered"):
            trial.send("iris", "1.0.0", "{}", 1.0, Presets())


def test_a_model_that_takes_too_long_is_not_waited_for(gateway: Gateway) -> None:
    trial = Trial("127.0.0.1", gateway.server_port)
    gateway.held.clear()
    with pytest.raises(errors.Unavailable, match="did not answer"):
        trial.send("iris", "1.0.0", "{}", -0.9, Presets())


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_row_that_is_shown_again_means_the_same(row: object) -> None:
    text = json.dumps(row, ensure_ascii=False, indent=2)
    assert json.loads(typed(text.replace("\n", "\r\n"))) == row


def test_where_the_gateway_asks_for_keys_the_form_takes_one_and_forgets_it(tmp_path: Path, gateway: Gateway) -> None:
    page = Page(tmp_path, gateway, asks_for_key=True)
    form = ask(page.app, TRY)
    assert "golden rows are shown after a row was sent with one" in form.text
    assert gateway.read == []
    (field,) = (attributes for _, attributes in Elements(form.text).found if attributes.get("name") == "key")
    assert (field["type"], field["autocomplete"]) == ("password", "off")
    answer = page.send('{"x": 1.0}', key=" of-the-shop ")
    assert "answered as expected" in answer.text
    assert set(gateway.keys) == {"of-the-shop"}
    assert "of-the-shop" not in answer.text


def test_a_gateway_that_asks_for_none_gets_no_key(page: Page, gateway: Gateway) -> None:
    assert 'name="key"' not in ask(page.app, TRY).text
    page.send("{}", key="of-the-shop")
    assert set(gateway.keys) == {None}


@pytest.mark.parametrize("key", ["a\r\nx-other: b", "two words", "ä"])
def test_what_cannot_be_a_key_is_not_sent(tmp_path: Path, gateway: Gateway, key: str) -> None:
    answer = Page(tmp_path, gateway, asks_for_key=True).send("{}", key=key)
    assert answer.status_code == 400
    assert "the key has characters that no key has" in answer.text
    assert gateway.keys == []


def test_opening_the_page_of_a_cold_model_does_not_start_it_and_says_that_sending_does(
    tmp_path: Path, gateway: Gateway
) -> None:
    page = Page(tmp_path, gateway, is_cold=True)
    form = ask(page.app, TRY)
    assert "Sending a row starts it" in form.text
    assert gateway.read == []
    assert "200 OK" in " ".join(Elements(page.send("{}").text).text.split())


def test_without_a_script_a_page_says_as_of_when_it_is(page: Page) -> None:
    answer = page.send("{}")
    assert "answered at" in answer.text
    assert "<noscript> This page is as of 12:00:00 UTC: reload it for a newer state.</noscript>" in answer.text
    assert "<noscript>" in ask(page.app, "/console/routes/iris").text

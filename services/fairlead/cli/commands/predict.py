"""`fairlead predict`."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import SplitResult, urlsplit

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, ContextOption, NamespaceOption, PlatformLocation, StateOption
from fairlead.cli.output import say, shown_json
from fairlead.contracts import json_text
from fairlead.contracts.access import KEY_HEADER, sendable
from fairlead.contracts.answers import REVISION_HEADER
from fairlead.contracts.images import MEDIA_TYPES, kind_of
from fairlead.contracts.instance import Instance
from fairlead.local.ports import LOOPBACK
from fairlead.local.probe import Reply
from fairlead.local.state import StateFolder
from fairlead.rollout.policy.unready import unready_versions
from fairlead.store.base import Store

_ENTRY_HINT = (
    "for example `kubectl port-forward service/fairlead-gateway 8080:80 --namespace NAME`, "
    "and --url http://127.0.0.1:8080"
)
_HTTPS_HINT = "give the address of the port with TLS: --url https://HOST:PORT"
_WITHOUT_INSTANCE = (http.client.NOT_FOUND, http.client.SERVICE_UNAVAILABLE)
"""What the gateway answers for a version that was never ready, and for one that is not ready any more."""


_IMAGES = (".jpg", ".jpeg", ".png", ".webp")


class _Gateway(NamedTuple):
    at: SplitResult
    tls: ssl.SSLContext | None
    """With https: what to believe and to show; None: what the system believes."""


class _Asked(NamedTuple):
    location: PlatformLocation
    model: str
    version: str | None


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    rows: Annotated[
        str | None,
        typer.Argument(
            metavar="JSON | IMAGE",
            help="A row, a list of rows, or an image file; @FILE reads a file, - standard input. None: a golden row.",
        ),
    ] = None,
    version: Annotated[str | None, typer.Option(help="Ask this version, whatever the weights are.")] = None,
    user: Annotated[str | None, typer.Option(help="The value of the sticky header: ask as this user.")] = None,
    url: Annotated[
        str | None, typer.Option(envvar="FAIRLEAD_URL", help="The gateway's address; default: that of this platform.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="FAIRLEAD_KEY", help="The key to send; default: the own key of this machine's platform."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(envvar="FAIRLEAD_CA", help="The authorities to believe, for https; default: the system's."),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Your certificate, for a gateway that asks for one.")] = None,
    cert_key: Annotated[Path | None, typer.Option(help="The key of --cert; default: it is in the same file.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the answer.")] = 30.0,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Send rows to a model through the gateway, and print the answer as JSON.

    Who answered goes to standard error. Without JSON, the first golden row of the model is sent.
    """
    location = PlatformLocation(state, context, namespace)
    at, tls = _address(url, location), _tls(ca, cert, cert_key)
    # FAIRLEAD_CA may be set for another gateway.
    if at.scheme != "https" and (cert is not None or (ca is not None and str(ca) != os.environ.get("FAIRLEAD_CA"))):
        raise errors.Invalid(
            f"--ca and --cert are for https, and http://{at.netloc} would be asked without", hint=_HTTPS_HINT
        )
    gateway = _Gateway(at, tls)
    headers = _credential(key, url, location)
    if user is not None:
        headers[_sticky_header(connect(location).store, model)] = user
    base = f"/models/{model}" if version is None else f"/models/{model}/versions/{version}"
    asked = _Asked(location, model, version)
    body = (
        _read(rows)
        if rows is not None
        else _golden_row(_send(gateway, "GET", f"{base}/golden", timeout, dict(headers)), asked)
    )
    headers["content-type"] = MEDIA_TYPES.get(kind_of(body), "application/json")
    reply = _send(gateway, "POST", f"{base}/predict", timeout, headers, body)
    if reply.status != http.client.OK:
        raise _failure(reply, asked)
    print(shown_json(reply.body.decode(errors="replace")))
    revision = reply.headers.get(REVISION_HEADER, "unknown")
    say(f"answered by {model} {reply.headers.get('x-model-version')}, revision {revision}", to=sys.stderr)


def _address(url: str | None, location: PlatformLocation) -> SplitResult:
    """The gateway's address. Raises Invalid for another kind of address, or if a cluster's is not given."""
    if url is None:
        if location.in_cluster:
            raise errors.Invalid("the address of a cluster's gateway is not known here: give --url", hint=_ENTRY_HINT)
        url = f"http://{LOOPBACK}:{StateFolder(location.state).running().gateway.port}"
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        is_usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise errors.Invalid(f"--url {url!r} is not the address of a gateway", hint=_ENTRY_HINT)
    return parts


def _credential(key: str | None, url: str | None, location: PlatformLocation) -> dict[str, str]:
    """The header of the key. The platform's own is sent only to its own gateway, if that asks for keys.

    Raises Invalid for what is no key.
    """
    own: dict[str, str] = {}
    if url is None and not location.in_cluster:
        folder = StateFolder(location.state)
        gateway = folder.running().gateway
        own = gateway.own_headers(folder.own_key()) if gateway.auth or gateway.tls else {}
    return {**own, **({KEY_HEADER: sendable(key)} if key else {})}


def _tls(ca: Path | None, cert: Path | None, cert_key: Path | None) -> ssl.SSLContext | None:
    """What to believe and to show. Raises Invalid for files that cannot be used."""
    if cert is None and cert_key is not None:
        raise errors.Invalid("--cert-key is the key of a certificate: name that too, with --cert")
    if ca is None and cert is None:
        return None
    for file in (ca, cert, cert_key):
        if file is not None:
            _require_readable(file)
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise errors.Invalid(f"{ca} cannot be used: it has no certificate in PEM") from error
    if cert is not None:
        try:
            context.load_cert_chain(cert, cert_key)
        except OSError as error:
            what = f"{cert} cannot be used" if cert_key is None else f"{cert} and its key {cert_key} cannot be used"
            raise errors.Invalid(f"{what}: there is no certificate or key in PEM, or they do not fit") from error
    return context


def _require_readable(file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:  # OpenSSL does not say which file it could not read
        raise errors.Invalid(f"{file} cannot be used: {error.strerror}") from error


def _sticky_header(store: Store, model: str) -> str:
    sticky = store.route(model).spec.sticky
    if sticky is None:
        raise errors.Invalid(
            f"--user: {model} has no sticky header, so every request gets a version at random",
            hint="leave out --user, or name a version with --version",
        )
    return sticky.header


def _read(rows: str) -> bytes:
    """The body: from the argument, a file or standard input. Raises Invalid unless it is JSON or an image."""
    if rows.lower().endswith(_IMAGES):
        rows = f"@{rows.removeprefix('@')}"
    try:
        if rows == "-":
            body = sys.stdin.buffer.read()
        elif rows.startswith("@"):
            body = Path(rows[1:]).read_bytes()
        else:
            body = rows.encode()
    except OSError as error:
        raise errors.Invalid(f"{rows[1:]} cannot be read: {error.strerror}") from error
    if kind_of(body):
        return body
    try:
        json_text.read(body)
    except ValueError as error:
        raise _not_json(rows, error) from error
    return body


def _not_json(rows: str, error: ValueError) -> errors.Invalid:
    form = "a file has one row as a JSON object, or a list of them"
    if rows.startswith("@") or rows == "-":
        source = "standard input" if rows == "-" else rows[1:]
        return errors.Invalid(f"{source} has no JSON: {error}", hint=f"{form}: a table, such as a CSV, is not read")
    if _is_file(rows):
        return errors.Invalid(f"the rows are not JSON: {rows} is a file", hint=f"to read it: @{rows}; {form}")
    hint = """quote it for the shell: '{"field": 1.5}'; to read a file: @rows.json"""
    return errors.Invalid(f"the rows are not JSON: {error}", hint=hint)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # it is too long for a name
        return False


def _golden_row(reply: Reply, asked: _Asked) -> bytes:
    if reply.status != http.client.OK:
        raise _failure(reply, asked)
    rows = json.loads(reply.body)["rows"]
    if not rows:
        raise errors.Invalid(f"{asked.model} has no golden rows, so there is no example to send: give a row as JSON")
    say(f"sent its first golden row: {json.dumps(rows[0]['input'])}", to=sys.stderr)
    return json.dumps(rows[0]["input"]).encode()


def _send(
    gateway: _Gateway,
    method: str,
    path: str,
    timeout_s: float,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send one request. Raises Unavailable if there is no answer."""
    at = gateway.at
    connection = (
        http.client.HTTPSConnection(str(at.hostname), at.port, timeout=timeout_s, context=gateway.tls)
        if at.scheme == "https"
        else http.client.HTTPConnection(str(at.hostname), at.port, timeout=timeout_s)
    )
    try:
        connection.request(method, f"{at.path.rstrip('/')}{path}", body=body, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read()
    except ssl.SSLError as error:
        raise errors.Unavailable(
            f"there is no TLS with the gateway at {at.geturl()}: {_why_no_tls(error)}",
            hint="--ca names the authorities of its certificate, --cert and --cert-key your own certificate",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise errors.Unavailable(
            f"the gateway at {at.geturl()} did not answer: {str(error) or type(error).__name__}",
            hint="`fairlead status` says whether the platform runs; another address: --url",
        ) from error
    finally:
        connection.close()
    return Reply(answer.status, text, {name.lower(): value for name, value in answer.getheaders()})


def _why_no_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "it ended the connection, as it does with clients whose certificate it does not believe"
    return (error.reason or str(error)).replace("_", " ").lower()


def _not_ready(asked: _Asked) -> errors.Unavailable | None:
    """Why a version of the route cannot be asked: the gateway knows it from when it was ready first.

    None for another version, and where the platform's store cannot be read: then only the gateway's answer is known.
    """
    location, model, version = asked
    if version is None:
        return None
    try:
        store = connect(location).store
        spec = store.route(model).spec.versions.get(version)
        if spec is None:
            return None
        ref = spec.ref(version)
        mine = [one for one in _instances(location, store) if (one.model, one.ref) == (model, ref)]
    except errors.FairleadError:
        return None
    unready = unready_versions(mine, None).get(ref)
    if unready is None and mine:
        return None  # it is ready, so the gateway's answer has another cause
    why = f": {unready.why}" if unready is not None and unready.why else ""
    return errors.Unavailable(
        f"{model} {version} is not ready{why}",
        hint=f"read its log: {location.with_options(f'fairlead logs {model} --version {version}')}",
    )


def _instances(location: PlatformLocation, store: Store) -> list[Instance]:
    if not location.in_cluster:
        return store.instances()
    found: list[Instance] = optional_modules.load("fairlead.cli.cluster").instances_if_allowed(store)
    return found


def _failure(reply: Reply, asked: _Asked) -> errors.FairleadError:
    """The error for a status other than 200: why the version is not ready, else what the answer itself says."""
    if reply.status in _WITHOUT_INSTANCE and (why := _not_ready(asked)) is not None:
        return why
    model = asked.model
    try:
        problem = json_text.read(reply.body)
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    said = problem.get("detail") or problem.get("error") or reply.body.decode(errors="replace")[:500] or "no reason"
    who = f"{model} {reply.headers['x-model-version']}" if "x-model-version" in reply.headers else model
    message = f"{who} answered {reply.status}: {said}"
    details = [
        errors.Detail(tuple(one["loc"]), one["msg"], one["type"])
        for one in problem.get("errors") or ()
        if isinstance(one, dict) and {"loc", "msg", "type"} <= one.keys()
    ]
    if reply.status == http.client.NOT_FOUND:
        return errors.NotFound(message, hint=asked.location.in_text("`fairlead status` lists the models"))
    if reply.status < http.client.INTERNAL_SERVER_ERROR:
        return errors.Invalid(message, details=details)
    if reply.status == http.client.INTERNAL_SERVER_ERROR:
        return errors.ModelFailed(
            message, hint=f"the reason is in its log: {asked.location.with_options(f'fairlead logs {model}')}"
        )
    return errors.Unavailable(message, hint=asked.location.in_text(f"`fairlead status {model}` says why"))

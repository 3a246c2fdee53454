"""The certificates that clients see: that of the gateways' port with TLS, and that of the Ingress before them.

Each is in a Secret, which is read with the user's own right, and compared with its key on this machine.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fairlead import errors
from fairlead.cli.doctor.certificate_end import SOON, ends_soon
from fairlead.cli.doctor.finding import Check, Finding, NotChecked, not_checked, problem
from fairlead.cli.doctor.kinds import INGRESSES
from fairlead.cli.doctor.seen import OURS, Seen, of_component, pod_spec, variables
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object, label, name_of
from fairlead.tls import Files, check, hosts_without, valid_until

_ENTRY = "entry"
"""The volume of the gateways' pods that has the Secret, in charts/platform."""
_WITHOUT = "clients that verify it get no answer"
_UNUSED = "what serves clients goes on with the certificate of before, or with none after it was started again"
_NONE_LEFT = timedelta()


@dataclass(frozen=True, slots=True)
class _Entry:
    """Who shows a certificate to clients, and the host names that they use; none if they are not known."""

    who: str
    secret: str
    hosts: tuple[str, ...]
    names_are: str
    """Where the host names come from."""


def lasts(seen: Seen) -> Iterator[Finding]:
    """Each certificate: it can be used, now and for two weeks, with its key and for the names of the hosts.

    Without the right to read one of them, or to know where some are, the others are checked all the same.
    """
    for whose, entries in _ENTRIES.items():
        try:
            found = tuple(entries(seen))
        except NotChecked as refused:
            yield not_checked(f"the certificates that {whose} show", refused)
        else:
            for one in found:
                yield from _of(one, seen)


def reads(seen: Seen, secret: str) -> bool:
    """Whether clients see the certificate of a Secret, and it may be read here, so that this room tells its end."""
    for entries in _ENTRIES.values():
        try:
            if any(one.secret == secret for one in entries(seen)):
                return bool(_secret(seen, secret))
        except (NotChecked, errors.NotFound):
            continue
    return False


def _of(one: _Entry, seen: Seen) -> Iterator[Finding]:
    try:
        secret = _secret(seen, one.secret)
    except NotChecked as refused:
        yield not_checked(f"the certificate of {one.who}", refused)
        return
    except errors.NotFound:
        if one.who.startswith("Ingress"):  # of the pods of gateways another check says so
            do = f"create it, of the type kubernetes.io/tls, in namespace {seen.namespace}"
            yield problem(f"the Secret {one.secret}, which {one.who} names, does not exist", _WITHOUT, do)
        return
    yield from _certificate(one, secret, seen.server_time)


def _secret(seen: Seen, name: str) -> Object:
    path = f"/api/v1/namespaces/{seen.namespace}/secrets/{name}"
    return seen.ask("GET", path, f"get the Secret {name} in namespace {seen.namespace}")


def _of_gateways(seen: Seen) -> Iterator[_Entry]:
    parts = of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE)
    hosts = {label(one, labels.INSTANCE): variables(one).get("FAIRLEAD_HOSTS", "") for one in parts}
    for one in of_component(seen.deployments, labels.COMPONENT_GATEWAY):
        for volume in pod_spec(one).get("volumes") or ():
            if volume["name"] == _ENTRY:
                names = tuple(filter(None, hosts.get(label(one, labels.INSTANCE), "").split(",")))
                known = () if "*" in names else names
                secret = str(volume["secret"]["secretName"])
                yield _Entry(f"the gateways of {name_of(one)}", secret, known, "gateway.hosts")


def _of_ingresses(seen: Seen) -> Iterator[_Entry]:
    for one in seen.list(INGRESSES, OURS):
        for tls in (one.get("spec") or {}).get("tls") or ():
            if tls.get("secretName"):
                hosts = tuple(map(str, tls.get("hosts") or ()))
                yield _Entry(f"Ingress {name_of(one)}", str(tls["secretName"]), hosts, "gateway.ingress.hosts")


_ENTRIES: Mapping[str, Callable[[Seen], Iterator[_Entry]]] = {"gateways": _of_gateways, "Ingresses": _of_ingresses}


def _certificate(one: _Entry, secret: Object, now: datetime) -> Iterator[Finding]:
    what = f"the certificate in the Secret {one.secret}, of {one.who},"
    do = f"write a certificate and its key into the Secret {one.secret}: nothing restarts"
    with tempfile.TemporaryDirectory() as folder:  # only its owner may open it
        files = Files(Path(folder, "tls.crt"), Path(folder, "tls.key"))
        data = secret.get("data") or {}
        try:
            for path in (files.certificate, files.key):
                path.write_bytes(base64.b64decode(data.get(path.name) or "", validate=True))
            left = valid_until(files.certificate.read_text(errors="replace")) - now
            if left > _NONE_LEFT:
                check(files, server=True)
        except (ValueError, LookupError):
            yield problem(f"{what} is no certificate in PEM", _WITHOUT, do)
            return
        except errors.Invalid as wrong:
            said = wrong.message.replace(f"{folder}/", "")
            yield problem(f"{what} cannot be used: {said}", _UNUSED, do)
            return
        if left < SOON:
            yield ends_soon(what.removesuffix(","), left, do)
        missing = hosts_without(files, one.hosts) if left > _NONE_LEFT else []
    if missing:
        names = ", ".join(missing)
        yield problem(
            f"{what} is not for {names}",
            f"clients that use {'these names' if len(missing) > 1 else 'this name'} and verify it get no answer",
            f"have it issued for {'them' if len(missing) > 1 else 'it'} too, or correct {one.names_are}",
        )


CHECKS = (
    Check(
        "certificates that clients see fit their keys and hosts and can be used for two weeks and more, or there is no "
        "TLS",
        lasts,
    ),
)

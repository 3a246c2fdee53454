"""TLS with certificates in files that are replaced while a process runs.

A context looks at its files when a connection begins, at most once a second, and reads them again if they changed. So a
renewed certificate needs no restart and ends no connection: those that are open keep what they began with. Files that
cannot be used are reported in the log and tried again each minute, and the context goes on with what it has. A
certificate that has expired while nobody renewed it is reported, too.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from fairlead.errors import Invalid

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""The least time between two looks at the files, in seconds."""
TRY_AGAIN_S = 60.0
"""How often files that cannot be used are tried although nothing changed: they may only be valid from a later time."""
_VERSION = 0xA0
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""The two forms of a time, by their tag."""
HINT = "Write a certificate, its key and, where they are needed, the authorities as PEM files."


@dataclass(frozen=True, slots=True)
class Files:
    """The PEM files of one side of a connection."""

    certificate: Path
    """The certificate of this side, followed by those between it and its authority."""
    key: Path
    """Its private key, not encrypted."""
    authorities: Path | None = None
    """The authorities whose certificates the other side may have. None, at a server: clients need no certificate."""

    def seen(self) -> tuple[object, ...]:
        """What changes when a file is replaced, also by a link to another folder as Kubernetes does it."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.authorities) if path is not None)


class Watch:
    """Uses files again when they changed, and each minute while they cannot be used. Not thread-safe."""

    def __init__(
        self,
        files: Files,
        use: Callable[[], None],
        log: logging.Logger,
        *,
        what: str = "the certificate",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`use` raises Invalid if the files cannot be used. The first time is the caller's, after this."""
        self._files, self._use, self._log, self._what, self._monotonic = files, use, log, what, monotonic
        self._seen = files.seen()
        self._try_at = float("inf")
        self._said = ""

    def look(self) -> None:
        """Costs a `stat` of each file; never raises."""
        seen = self._files.seen()
        changed = seen != self._seen
        if not changed and self._monotonic() < self._try_at:
            return
        self._seen = seen
        if changed:
            self._said = ""
        try:
            self._use()
        except Invalid as problem:
            self.complain(problem)
        else:
            self._try_at, self._said = float("inf"), ""
            self._log.info("%s was read again", self._what, extra=self._facts())

    def complain(
        self,
        problem: Invalid,
        said: str = "changed files are not used, those before are: %s",
        level: int = logging.ERROR,
    ) -> None:
        """Say once that the files cannot be used, and try them again later."""
        self._try_at = self._monotonic() + TRY_AGAIN_S
        if problem.message != self._said:
            self._log.log(level, said, problem.message, extra=self._facts())
        self._said = problem.message

    def _facts(self) -> dict[str, str]:
        return {"certificate": str(self._files.certificate)}


class FileContext(ssl.SSLContext):
    """A context for `wrap_bio` and `wrap_socket`, whose connections use what the files have when they begin."""

    _files: Files
    _server: bool
    _monotonic: Callable[[], float]
    _clock: Callable[[], datetime]
    _refused: Callable[[str], None] | None
    _hosts: Sequence[str]
    _without: str
    _ends: datetime | None

    def __new__(
        cls,
        files: Files,
        *,
        server: bool,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        refused: Callable[[str], None] | None = None,
        hosts: Sequence[str] = (),
        without: str = "",
    ) -> Self:
        """Raises Invalid if the files cannot be used, or if a server's certificate lacks one of the names `hosts`.

        With `without`, what is so until they can be used, they need not be usable yet: connections fail until then.

        `refused` is called with the reason when the certificate of the other side is refused: a server's connections
        end without a word.
        """
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made._files, made._server, made._monotonic = files, server, monotonic  # noqa: SLF001
        made._clock, made._refused = clock, refused  # noqa: SLF001
        made._hosts, made._without = hosts, without  # noqa: SLF001
        return made

    def __init__(self, *_: object, **__: object) -> None:
        self._lock = threading.Lock()
        self._watch = Watch(self._files, self._read, logger, monotonic=self._monotonic)
        self._looked_at = self._monotonic()
        try:
            self._read()
        except Invalid as problem:
            if not self._without:
                raise
            self._context, self._ends = _plain(server=self._server), None
            self._watch.complain(problem, f"{self._without}: %s", logging.WARNING)

    def current(self) -> ssl.SSLContext:
        """The context with what the files have now."""
        with self._lock:
            now = self._monotonic()
            if now - self._looked_at >= LOOK_S:
                self._looked_at = now
                self._watch.look()
                self._tell_end()
            return self._context

    def _read(self) -> None:
        self._context = _read(self._files, server=self._server, hosts=self._hosts)
        if self._refused is not None:
            self._context.sslobject_class = _telling(self._refused)
        self._ends = _end_of(self._files.certificate)

    def _tell_end(self) -> None:
        """Say once that the certificate in use has expired."""
        if self._ends is not None and self._clock() >= self._ends:
            said = "the certificate %s expired at %s and was not renewed: the other side refuses it; replace the file"
            logger.error(said, self._files.certificate, f"{self._ends:%Y-%m-%d %H:%M} UTC")
            self._ends = None

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:
        """Begin a connection in memory."""
        return self.current().wrap_bio(*arguments, **more)

    def wrap_socket(self, *arguments: Any, **more: Any) -> ssl.SSLSocket:
        """Begin a connection on a socket."""
        return self.current().wrap_socket(*arguments, **more)


def _end_of(certificate: Path) -> datetime | None:
    """None if it cannot be read, because it was replaced at this moment."""
    try:
        return valid_until(certificate.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, LookupError):
        return None


def _telling(refused: Callable[[str], None]) -> type[ssl.SSLObject]:
    """The class of connections in memory that tell why they refuse the other side's certificate."""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError as error:
                refused(error.verify_message)
                raise

    return Telling


def check(files: Files, *, server: bool) -> None:
    """Raise Invalid, with a sentence that names the file, if the files cannot be used now."""
    _read(files, server=server)


def valid_until(pem: str) -> datetime:
    """When the first certificate of a PEM text ends. Raises ValueError if there is none."""
    begin, end = (pem.find(f"-----{word} CERTIFICATE-----") for word in ("BEGIN", "END"))
    if not 0 <= begin < end:
        raise ValueError("there is no certificate in PEM")
    der = ssl.PEM_cert_to_DER_cert(pem[begin:end] + "-----END CERTIFICATE-----")
    signed = _parts(_parts(der)[0][1])[0][1]
    # Version (it may be missing), number, algorithm, issuer, validity: RFC 5280, section 4.1.
    fields = [one for one in _parts(signed) if one[0] != _VERSION]
    kind, text = _parts(fields[3][1])[1]
    return datetime.strptime(text.decode("ascii"), _TIMES[kind]).replace(tzinfo=UTC)


def hosts_without(files: Files, hosts: Sequence[str]) -> list[str]:
    """The host names that the certificate, which can be used, does not have. `*.name` is tried as one name below it."""
    return [host for host in hosts if not _is_for(files, f"any{host[1:]}" if host.startswith("*.") else host)]


def _is_for(files: Files, host: str) -> bool:
    """Ask what a client would that connects to this host, and trusts the certificate."""
    client, server = _plain(server=False), _plain(server=True)
    _load_own(server, files)
    _trust(client, files.certificate)
    try:
        _shake_hands(client, server, host)
    except ssl.SSLCertVerificationError:
        return False
    return True


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """The elements that follow each other, each its tag and content. Raises ValueError if they are cut."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1] if at + 1 < len(der) else 0, at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count]), at + count
        if at + length > len(der):
            raise ValueError("the certificate is cut")
        found.append((tag, der[at : at + length]))
        at += length
    return found


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _read(files: Files, *, server: bool, hosts: Sequence[str] = ()) -> ssl.SSLContext:
    """A context with what the files have. Raises Invalid with a sentence that names the file."""
    _check_text(files)
    context = _plain(server=server)
    _load_own(context, files)
    if files.authorities is not None:
        _trust(context, files.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    _check_accepted(files, server=server)
    if missing := hosts_without(files, hosts):
        said = f"the certificate {files.certificate} has not the name {', '.join(missing)}"
        raise Invalid(said, hint="Issue it with this name too, which the other side verifies.")
    return context


def _plain(*, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # An authority may be one that another has signed.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if server:
        context.num_tickets = 0  # the certificate of a session that is resumed is not verified again
    return context


def _check_text(files: Files) -> None:
    for what, path, mark in (
        ("certificate", files.certificate, "-----BEGIN CERTIFICATE-----"),
        ("key", files.key, "PRIVATE KEY-----"),
        ("file of authorities", files.authorities, "-----BEGIN CERTIFICATE-----"),
    ):
        if path is None:
            continue
        if path.exists() and not path.is_file():  # to read a pipe waits for who writes it
            raise Invalid(f"the {what} {path} cannot be read: it is no file", hint=HINT)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise Invalid(f"the {what} {path} cannot be read: {error.strerror}", hint=HINT) from error
        if mark not in text:
            raise Invalid(
                f"the {what} {path} has no {mark.strip('-').removeprefix('BEGIN ').lower()} in PEM", hint=HINT
            )
        if what == "key" and "ENCRYPTED" in text:
            raise Invalid(f"the key {path} is encrypted", hint="Nobody is there to enter its password: decrypt it.")


def _load_own(context: ssl.SSLContext, files: Files) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        if "KEY_VALUES_MISMATCH" in str(error):
            said = f"the key {files.key} is not the one of the certificate {files.certificate}"
        else:
            said = f"the certificate {files.certificate} or its key {files.key} is broken"
        raise Invalid(said, hint=HINT) from error


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(cafile=authorities)
    except (ssl.SSLError, OSError) as error:
        raise Invalid(f"the file of authorities {authorities} is broken", hint=HINT) from error


def _check_accepted(files: Files, *, server: bool) -> None:
    """Ask what the other side will: is it valid today, and for a server or a client? Both ends are here, in memory."""
    owner, peer = _plain(server=server), _plain(server=not server)
    owner.check_hostname = peer.check_hostname = False
    owner.verify_mode, peer.verify_mode = ssl.CERT_NONE, ssl.CERT_REQUIRED
    _load_own(owner, files)
    _load_own(peer, files)  # a server has to have one
    _trust(peer, files.certificate)
    try:
        _shake_hands(*((peer, owner) if server else (owner, peer)))
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message
        kind = "server" if server else "client"
        if "purpose" in said:
            said = f"is not for a {kind}: it needs the extended key usage {kind}Auth"
        elif "expired" in said or "not yet valid" in said:
            said = said.removeprefix("certificate ")
        else:
            said = f"cannot be verified: {said}"
        raise Invalid(f"the certificate {files.certificate} {said}", hint="Renew it.") from error


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str | None = None) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):  # more turns than a handshake has
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)

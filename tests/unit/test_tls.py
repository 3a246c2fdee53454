"""Certificates in files: what is wrong with them is said, and changed ones count for the next connection."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fairlead.errors import Invalid
from fairlead.tls import LOOK_S, TRY_AGAIN_S, FileContext, Files, valid_until
from support.cluster.certificates import Authority
from support.mounted_secret import MountedSecret
from support.same_stamp import mend, spoil


class Clock:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("foreign")).create()


@pytest.fixture
def issued(authority: Authority, tmp_path: Path) -> Callable[..., Files]:
    """Issues a certificate, always into the same files."""
    mounted = MountedSecret(tmp_path / "mounted")
    return lambda **more: _put(mounted, authority, **more)


def _put(mounted: MountedSecret, authority: Authority, **more: str) -> Files:
    mounted.put(authority.issue("model", hosts=["127.0.0.1"], **more), [authority])
    return Files(mounted.certificate, mounted.key, mounted.authorities)


def serial(context: FileContext) -> str:
    """Something that differs between the certificates that a connection of this context would show."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one, other = client.wrap_bio(to_client, to_server), context.wrap_bio(to_server, to_client, server_side=True)
    for end in (one, other, one):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = one.getpeercert(binary_form=True)
    assert shown is not None
    return shown.hex()


def test_a_changed_certificate_counts_for_the_next_connection(issued: Callable[..., Files]) -> None:
    clock = Clock()
    context = FileContext(issued(), server=True, monotonic=clock)
    before = serial(context)
    issued()
    clock.now += LOOK_S
    assert serial(context) != before


def test_the_files_are_not_looked_at_again_within_a_second(issued: Callable[..., Files]) -> None:
    clock = Clock()
    context = FileContext(issued(), server=True, monotonic=clock)
    before = serial(context)
    issued()
    clock.now += LOOK_S / 2
    assert serial(context) == before


def test_changed_files_that_cannot_be_used_are_told_once_and_those_before_stay(
    issued: Callable[..., Files], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    files = issued()
    context = FileContext(files, server=True, monotonic=clock)
    before = serial(context)
    issued(days="-1")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.now += LOOK_S
            assert serial(context) == before
    [line] = caplog.records
    assert line.getMessage() == (
        f"changed files are not used, those before are: the certificate {files.certificate} has expired"
    )


def test_a_certificate_that_nobody_renewed_is_told_once_when_it_has_expired(
    issued: Callable[..., Files], caplog: pytest.LogCaptureFixture
) -> None:
    clock, files = Clock(), issued(days="2")
    today = datetime.now(UTC)
    now = today
    context = FileContext(files, server=True, monotonic=clock, clock=lambda: now)
    with caplog.at_level(logging.ERROR):
        for days in (1, 3, 4):
            now = today + timedelta(days=days)
            clock.now += LOOK_S
            serial(context)
    [line] = caplog.records
    ended = valid_until(files.certificate.read_text())
    assert line.getMessage() == (
        f"the certificate {files.certificate} expired at {ended:%Y-%m-%d %H:%M} UTC and was not renewed: "
        "the other side refuses it; replace the file"
    )


def test_a_server_tells_why_it_refuses_the_certificate_of_a_client(
    issued: Callable[..., Files], authority: Authority
) -> None:
    said: list[str] = []
    context = FileContext(issued(), server=True, refused=said.append)
    for days in ("7", "-1"):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.load_cert_chain(*authority.issue("client", usages="clientAuth", days=days))
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        asks, answers = client.wrap_bio(to_client, to_server), context.wrap_bio(to_server, to_client, server_side=True)
        for end in (asks, answers, asks, answers):
            with suppress(ssl.SSLWantReadError, ssl.SSLCertVerificationError):
                end.do_handshake()
    assert said == ["certificate has expired"]


def test_files_that_become_valid_later_are_used_within_a_minute_and_told_once(
    issued: Callable[..., Files], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    files = issued()
    context = FileContext(files, server=True, monotonic=clock)
    before = serial(context)
    issued()
    good = spoil(files.certificate)
    for _ in range(3):
        clock.now += TRY_AGAIN_S
        assert serial(context) == before
    mend(files.certificate, good)
    clock.now += LOOK_S
    assert serial(context) == before
    clock.now += TRY_AGAIN_S
    assert serial(context) != before
    assert [one.levelname for one in caplog.records if one.levelname == "ERROR"] == ["ERROR"]


def test_a_certificate_without_a_name_that_the_other_side_verifies_is_an_error(issued: Callable[..., Files]) -> None:
    files = issued()
    with pytest.raises(Invalid, match=r"the certificate .*tls.crt has not the name gateways.example"):
        FileContext(files, server=True, hosts=["127.0.0.1", "gateways.example"])
    serial(FileContext(files, server=True, hosts=["127.0.0.1"]))


@pytest.mark.parametrize("days", ["-1", "never"])
def test_a_server_may_begin_before_its_certificate_can_be_used(
    issued: Callable[..., Files], tmp_path: Path, days: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock, mounted = Clock(), tmp_path / "mounted"
    files = (
        issued(days=days) if days != "never" else Files(*(mounted / f"{it}" for it in ("tls.crt", "tls.key", "ca.crt")))
    )
    context = FileContext(files, server=True, monotonic=clock, without="nobody is answered")
    [line] = caplog.records
    assert (line.levelname, line.getMessage().partition(" the ")[0]) == ("WARNING", "nobody is answered:")
    with pytest.raises(ssl.SSLError):
        serial(context)
    issued()
    clock.now += LOOK_S
    serial(context)


@pytest.mark.parametrize("server", [True, False])
def test_a_certificate_that_has_expired_is_an_error(issued: Callable[..., Files], server: bool) -> None:
    with pytest.raises(Invalid, match=r"the certificate .*tls.crt has expired"):
        FileContext(issued(days="-1"), server=server)


@pytest.mark.parametrize(("server", "usage"), [(True, "clientAuth"), (False, "serverAuth")])
def test_a_certificate_for_the_other_side_is_an_error(issued: Callable[..., Files], server: bool, usage: str) -> None:
    with pytest.raises(Invalid, match="is not for a (server|client): it needs the extended key usage"):
        FileContext(issued(usages=usage), server=server)


@pytest.mark.parametrize("file", ["certificate", "key", "authorities"])
def test_a_file_that_is_missing_is_named(issued: Callable[..., Files], file: str) -> None:
    files = issued()
    getattr(files, file).unlink()
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        FileContext(files, server=True)


@pytest.mark.parametrize("file", ["certificate", "key", "authorities"])
def test_a_pipe_in_place_of_a_file_is_an_error_and_is_not_waited_for(issued: Callable[..., Files], file: str) -> None:
    files = issued()
    getattr(files, file).unlink()
    os.mkfifo(getattr(files, file))
    with pytest.raises(Invalid, match="cannot be read: it is no file"):
        FileContext(files, server=True)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("certificate", "nothing", "has no certificate in PEM"),
        ("key", "nothing", "has no private key in PEM"),
        ("authorities", "", "has no certificate in PEM"),
        ("key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "is encrypted"),
        ("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is broken"),
        ("authorities", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is broken"),
    ],
)
def test_a_file_with_something_else_is_named(issued: Callable[..., Files], file: str, text: str, said: str) -> None:
    files = issued()
    getattr(files, file).write_text(text)
    with pytest.raises(Invalid, match=said):
        FileContext(files, server=True)


def test_the_key_of_another_certificate_is_an_error(issued: Callable[..., Files], authority: Authority) -> None:
    files = issued()
    _, other = authority.issue("other", hosts=["127.0.0.1"])
    files.key.write_bytes(other.read_bytes())
    with pytest.raises(Invalid, match="is not the one of the certificate"):
        FileContext(files, server=True)


def test_a_client_of_another_authority_is_refused(
    issued: Callable[..., Files], foreign: Authority, tmp_path: Path
) -> None:
    ours = FileContext(issued(), server=True)
    theirs = FileContext(_put(MountedSecret(tmp_path / "foreign"), foreign), server=False)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs.current().check_hostname = False
    theirs.current().verify_mode = ssl.CERT_NONE
    client = theirs.wrap_bio(to_client, to_server)
    server = ours.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    with pytest.raises(ssl.SSLCertVerificationError):
        server.do_handshake()


def test_the_end_of_a_certificate_is_read_from_its_text(issued: Callable[..., Files]) -> None:
    files = issued()
    told = subprocess.run(
        ["openssl", "x509", "-in", files.certificate, "-noout", "-enddate"], capture_output=True, text=True, check=True
    ).stdout.strip()
    end = valid_until(f"# comment\n{files.certificate.read_text()}").timestamp()
    assert end == ssl.cert_time_to_seconds(told.removeprefix("notAfter="))


@pytest.mark.parametrize("cut", [0, 30, 60, 200])
def test_a_text_without_a_whole_certificate_has_no_end(issued: Callable[..., Files], cut: int) -> None:
    text = issued().certificate.read_text()
    begin, rest = text.split("\n", 1)
    broken = f"{begin}\n{rest[:cut]}\n-----END CERTIFICATE-----" if cut else "nothing"
    with pytest.raises(ValueError, match="certificate|padding|base64|Incorrect"):
        valid_until(broken)

"""The copies of the entry's certificate: replaced together, and only by files that can be used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fairlead.contracts.platform import EntryTlsSettings
from fairlead.control.entry_certificates import EntryCertificates
from fairlead.errors import Invalid
from fairlead.tls import TRY_AGAIN_S
from support.cluster.certificates import Authority
from support.same_stamp import mend, spoil

LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


@pytest.fixture
def settings(tmp_path: Path, authority: Authority) -> EntryTlsSettings:
    """Files as a user has them."""
    own = {field: str(tmp_path / f"my-{field}.pem") for field in ("certificate", "key", "client_ca")}
    Path(own["client_ca"]).write_bytes(authority.certificate.read_bytes())
    made = EntryTlsSettings(**own)
    put(made, authority, "first")
    return made


def put(settings: EntryTlsSettings, authority: Authority, name: str, **more: str) -> bytes:
    """Replace the certificate and its key, in place; returns the certificate."""
    certificate, key = authority.issue(name, hosts=["127.0.0.1"], file=name, **more)
    Path(settings.certificate).write_bytes(certificate.read_bytes())
    Path(settings.key).write_bytes(key.read_bytes())
    return certificate.read_bytes()


def test_the_gateway_gets_copies_and_files_that_say_where_they_are(settings: EntryTlsSettings, tmp_path: Path) -> None:
    made = EntryCertificates(settings, tmp_path / "gateway", LOG)
    folder = Path(made.secrets)
    for name, source in (("tls.crt", "certificate"), ("tls.key", "key"), ("ca.crt", "client_ca")):
        assert (folder / name).read_bytes() == Path(getattr(settings, source)).read_bytes()
    assert f"{folder}/tls.key" in (folder / "entry-certificate.json").read_text()
    assert f"{folder}/ca.crt" in (folder / "entry-authorities.json").read_text()
    assert folder.stat().st_mode & 0o077 == 0


def test_changed_files_replace_all_copies_at_once(
    settings: EntryTlsSettings, tmp_path: Path, authority: Authority
) -> None:
    made = EntryCertificates(settings, tmp_path / "gateway", LOG)
    folder = Path(made.secrets)
    before = (folder / "..data").readlink()
    renewed = put(settings, authority, "renewed")
    made.look()
    assert (folder / "tls.crt").read_bytes() == renewed
    assert (folder / "..data").readlink() != before
    assert not (folder / before).exists()


def test_files_that_cannot_be_used_change_nothing_and_are_logged(
    settings: EntryTlsSettings, tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    made = EntryCertificates(settings, tmp_path / "gateway", LOG)
    used = (Path(made.secrets) / "tls.crt").read_bytes()
    put(settings, authority, "late", days="-1")
    made.look()
    Path(settings.certificate).write_text("nothing")
    made.look()
    Path(settings.key).unlink()
    made.look()
    assert (Path(made.secrets) / "tls.crt").read_bytes() == used
    said = [record.getMessage() for record in caplog.records]
    assert [words in one for words, one in zip(("expired", "has no", "has no"), said, strict=True)] == [True] * 3
    assert all(one.startswith("changed files are not used, those before are") for one in said)


def test_files_that_become_valid_later_are_copied_within_a_minute(
    settings: EntryTlsSettings, tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    made = EntryCertificates(settings, tmp_path / "gateway", LOG, monotonic=lambda: now)
    copy = Path(made.secrets) / "tls.crt"
    used, renewed = copy.read_bytes(), put(settings, authority, "later")
    spoil(Path(settings.certificate))
    for _ in range(2):
        made.look()
        now += TRY_AGAIN_S
    mend(Path(settings.certificate), renewed)
    assert copy.read_bytes() == used
    made.look()
    assert copy.read_bytes() == renewed
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


def test_a_new_process_goes_on_with_usable_copies_and_refuses_to_start_without_any(
    settings: EntryTlsSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used = (Path(EntryCertificates(settings, tmp_path / "gateway", LOG).secrets) / "tls.crt").read_bytes()
    Path(settings.certificate).unlink()
    again = EntryCertificates(settings, tmp_path / "gateway", LOG)
    assert (Path(again.secrets) / "tls.crt").read_bytes() == used
    assert "cannot be read" in caplog.text
    with pytest.raises(Invalid, match="cannot be read"):
        EntryCertificates(settings, tmp_path / "other", LOG)

import datetime
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import incluster_config

from fairlead import errors
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.access import Access, in_cluster


def write(
    path: Path, *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **more: Any
) -> Path:
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8001/k8s/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **more,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def load(*paths: Path, context: str | None = None) -> Access:
    return kubeconfig.load(context, {"KUBECONFIG": ":".join(map(str, paths))})


def token(access: Access) -> str:
    return str(access.configuration.get_api_key_with_prefix("BearerToken"))


def test_the_current_context_gives_server_namespace_and_path(tmp_path: Path) -> None:
    access = load(write(tmp_path / "config"))
    assert (access.address, access.namespace, access.context) == ("127.0.0.1:8001/k8s", "models", "context 'dev'")
    assert access.configuration.auth_settings() == {}


def test_of_two_files_the_first_one_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "one", user={"token": "first"})
    prod: dict[str, Any] = {"contexts": [{"name": "prod", "context": {"cluster": "c"}}], "current-context": "prod"}
    second = write(tmp_path / "two", user={"token": "second"}, **prod)
    assert token(load(first, second)) == "Bearer first"
    assert load(first, second).context == "context 'dev'"
    assert load(second, first).context == "context 'prod'"
    assert load(first, second, context="prod").namespace == "default"


def test_a_missing_context_is_named_with_the_existing_ones(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no context 'prod'") as caught:
        load(write(tmp_path / "config"), context="prod")
    assert caught.value.hint == "contexts: dev"


def test_without_a_kubeconfig_the_message_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="there is no kubeconfig at"):
        load(tmp_path / "nowhere")


def test_a_token_file_beside_the_kubeconfig_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    assert token(load(write(tmp_path / "config", user={"tokenFile": "token"}))) == "Bearer secret"


def test_tls_server_name_proxy_and_authority_are_taken_from_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("an authority")
    cluster = {
        "server": "https://10.0.0.1",
        "tls-server-name": "api.example",
        "certificate-authority": "ca.crt",
        "proxy-url": "http://proxy:3128",
    }
    found = load(write(tmp_path / "config", cluster=cluster)).configuration
    assert (found.tls_server_name, found.proxy, found.verify_ssl) == ("api.example", "http://proxy:3128", True)
    assert found.ssl_ca_cert == str(tmp_path / "ca.crt")


def program(folder: Path, body: str) -> str:
    path = folder / "login"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return "./login"


API = "client.authentication.k8s.io/v1"


def credential(**status: str) -> str:
    return json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": status})


def test_a_credential_program_is_run_once_while_its_token_is_valid(tmp_path: Path) -> None:
    said = credential(token="fetched", expirationTimestamp="2999-01-01T00:00:00Z")
    body = f"open({str(tmp_path / 'asked')!r}, 'a').write('x'); print({said!r})"
    access = load(write(tmp_path / "config", user={"exec": {"apiVersion": API, "command": program(tmp_path, body)}}))
    assert [token(access), token(access)] == ["Bearer fetched", "Bearer fetched"]
    assert (tmp_path / "asked").read_text() == "x"


def test_an_expired_token_is_fetched_again(tmp_path: Path) -> None:
    said = credential(token="fetched", expirationTimestamp="2001-01-01T00:00:00Z")
    body = f"open({str(tmp_path / 'asked')!r}, 'a').write('x'); print({said!r})"
    access = load(write(tmp_path / "config", user={"exec": {"apiVersion": API, "command": program(tmp_path, body)}}))
    assert [token(access), token(access)] == ["Bearer fetched", "Bearer fetched"]
    assert (tmp_path / "asked").read_text() == "xxx"


@pytest.mark.parametrize(
    ("body", "told"),
    [("print('hello')", "failed to decode process output"), ("raise SystemExit(3)", "process returned 3")],
)
def test_a_credential_program_that_returns_nothing_is_named_with_its_error(
    tmp_path: Path, body: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    user = {"exec": {"apiVersion": API, "command": program(tmp_path, body)}}
    with pytest.raises(errors.Unavailable, match=rf"'./login' of the kubeconfig returned no credential: .*{told}"):
        load(write(tmp_path / "config", user=user))
    assert capfd.readouterr().err == ""


def test_a_missing_credential_program_is_named_with_its_install_hint(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": API, "command": "no-such-login", "installHint": "apt install login"}}
    with pytest.raises(errors.Unavailable, match="'no-such-login'") as caught:
        load(write(tmp_path / "config", user=user))
    assert caught.value.hint == "apt install login"


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({"server": "ftp://x"}, "no usable server address"),
        ({"server": "https://127.0.0.1", "certificate-authority-data": "A"}, "cannot be used"),
        ({"server": "https://127.0.0.1", "certificate-authority": "missing.crt"}, "missing.crt"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(tmp_path: Path, cluster: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.Invalid, match=told):
        load(write(tmp_path / "config", cluster=cluster))


@pytest.mark.parametrize("text", ["- a list", "{", "just text", "", "contexts: [{}]", "contexts: [1]"])
def test_a_file_that_is_not_a_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(errors.Invalid):
        load(path)


def test_outside_a_cluster_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="in a pod of a cluster: Service token file does not exist"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)


def test_the_token_of_a_service_account_is_read_again_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("token", "one"), ("ca.crt", "an authority"), ("namespace", "models\n")):
        (tmp_path / name).write_text(text)
    access = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (access.address, access.namespace) == ("[fd00::1]:443", "models")
    (tmp_path / "token").write_text("two")
    assert token(access) == "bearer one"
    monkeypatch.setattr(incluster_config, "datetime", AMinuteLater)
    assert token(access) == "bearer two"


class AMinuteLater:
    """A replacement for the module `datetime` whose clock is a minute ahead."""

    timedelta = datetime.timedelta

    class datetime:  # noqa: N801
        @staticmethod
        def now() -> datetime.datetime:
            return datetime.datetime.now() + datetime.timedelta(seconds=61)

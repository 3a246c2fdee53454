import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.access import Access, TokenFile, in_cluster


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


def test_the_present_context_names_server_namespace_and_path(tmp_path: Path) -> None:
    access = load(write(tmp_path / "config"))
    assert (access.host, access.port, access.prefix, access.namespace) == ("127.0.0.1", 8001, "/k8s", "models")
    assert (access.tls, access.token()) == (None, None)


def test_of_two_files_the_first_has_the_last_word(tmp_path: Path) -> None:
    first = write(tmp_path / "one", user={"token": "first"})
    second = write(tmp_path / "two", user={"token": "second"}, contexts=[{"name": "prod", "context": {"cluster": "c"}}])
    assert load(first, second).token() == "first"
    assert load(first, second, context="prod").namespace == "default"


def test_a_missing_context_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no context 'prod'") as caught:
        load(write(tmp_path / "config"), context="prod")
    assert caught.value.hint == "contexts: dev"


def test_without_a_file_the_message_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="there is no kubeconfig at"):
        load(tmp_path / "nowhere")


def test_a_token_file_beside_the_kubeconfig_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert load(write(tmp_path / "config", user={"tokenFile": "token"})).token() == "secret"


def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path, monotonic=lambda: now)
    assert token() == "one"
    path.write_text("two")
    assert token() == "one"
    now = 61.0
    assert token() == "two"


def program(folder: Path, body: str) -> str:
    path = folder / "login"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return "./login"


def test_a_program_is_asked_for_the_token_once_while_it_is_fresh(tmp_path: Path) -> None:
    credential = {"status": {"token": "fetched", "expirationTimestamp": "2999-01-01T00:00:00Z"}}
    body = f"open({str(tmp_path / 'asked')!r}, 'a').write('x'); print({json.dumps(credential)!r})"
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": program(tmp_path, body)}}
    access = load(write(tmp_path / "config", user=user))
    assert [access.token(), access.token()] == ["fetched", "fetched"]
    assert (tmp_path / "asked").read_text() == "x"


def test_a_token_that_has_expired_is_fetched_anew(tmp_path: Path) -> None:
    credential = {"status": {"token": "fetched", "expirationTimestamp": "2001-01-01T00:00:00Z"}}
    body = f"open({str(tmp_path / 'asked')!r}, 'a').write('x'); print({json.dumps(credential)!r})"
    access = load(write(tmp_path / "config", user={"exec": {"command": program(tmp_path, body)}}))
    assert [access.token(), access.token()] == ["fetched", "fetched"]
    assert (tmp_path / "asked").read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "told"), [("print('hello')", "printed no ExecCredential"), ("raise SystemExit(3)", "gave no credential")]
)
def test_a_program_that_gives_nothing_is_named(tmp_path: Path, body: str, told: str) -> None:
    access = load(write(tmp_path / "config", user={"exec": {"command": program(tmp_path, body)}}))
    with pytest.raises(errors.Unavailable, match=told):
        access.token()


def test_a_program_that_is_not_there_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    user = {"exec": {"command": "no-such-login", "installHint": "apt install login"}}
    with pytest.raises(errors.Unavailable, match="'no-such-login'") as caught:
        load(write(tmp_path / "config", user=user)).token()
    assert caught.value.hint == "apt install login"


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({"server": "ftp://x"}, "no usable server address"),
        ({"proxy-url": "http://proxy"}, "proxy-url"),
        ({"server": "https://127.0.0.1", "certificate-authority-data": "%%%"}, "not base64"),
        ({"server": "https://127.0.0.1", "certificate-authority": "missing.crt"}, "cannot read certificate-authority"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(tmp_path: Path, cluster: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.Invalid, match=told):
        load(write(tmp_path / "config", cluster=cluster))


@pytest.mark.parametrize("text", ["- a list", "{", "just text"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(errors.Invalid):
        load(path)


def test_outside_of_a_cluster_there_is_no_account_of_a_pod(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="no pod of a cluster"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)

"""The bootstrap configurations, validated by Envoy, and the command that prints them."""

from __future__ import annotations

import json
import stat
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.gateway import GRID_MS
from fairlead.local.probe import ask_socket
from fairlead.routing.envoy.bootstrap import bootstrap, rest_bootstrap, token_secret
from fairlead.routing.envoy.sources import REQUEST_TIMEOUT_S
from fairlead.routing.envoy.tls import entry_files, secret_files
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.server import HOLD_S
from fairlead.routing.snapshot import Endpoint
from integration.routing.edge import until
from integration.routing.replicas import Gateways, some_gateways
from support.envoy import Envoy, running_envoy, validate
from support.processes import free_ports
from unit.routing import goldens

ADMIN = Endpoint("127.0.0.1", 9901)
ASKED = [Endpoint("127.0.0.1", 8082), Endpoint("shop-control-plane.ml.svc.cluster.local.", 8082)]


@pytest.mark.parametrize("control_plane", ASKED, ids=lambda one: one.host)
def test_envoy_accepts_the_bootstrap(control_plane: Endpoint, tmp_path: Path) -> None:
    assert validate(rest_bootstrap(control_plane, admin=ADMIN, cluster="shop", node="edge-1"), tmp_path) is None


def test_envoy_accepts_the_bootstrap_with_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c")
    secret = tmp_path / "token.json"
    secret.write_text(json.dumps(token_secret(str(tmp_path / "token"))))
    made = rest_bootstrap(ASKED[0], admin=ADMIN, cluster="shop", node="edge-1", token=str(secret))
    assert validate(made, tmp_path) is None


@pytest.mark.parametrize("name", sorted(path.stem for path in goldens.FOLDER.iterdir()))
def test_envoy_accepts_every_golden_configuration(name: str, tmp_path: Path) -> None:
    text = (goldens.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    secrets = tmp_path / "secrets"  # files that Envoy looks for even while it only validates
    secrets.mkdir()
    own, entry = secret_files(str(tmp_path)), entry_files(str(tmp_path), str(tmp_path))
    for file, content in {**own, **entry}.items():
        (secrets / file).write_text(json.dumps(content))
    assert validate(json.loads(text.replace(goldens.SECRETS, str(secrets))), tmp_path) is None


def test_envoy_rejects_a_golden_configuration_with_an_invalid_route(tmp_path: Path) -> None:
    text = (goldens.FOLDER / "stable.json").read_text(encoding="utf-8")
    refusal = validate(json.loads(text.replace('"timeout": "10s"', '"timeout": "-1s"')), tmp_path)
    assert refusal is not None
    assert "Invalid duration" in refusal


def test_both_bootstraps_have_the_same_statistics_settings() -> None:
    here = bootstrap("/srv/gateway", admin=ADMIN)
    there = rest_bootstrap(ASKED[1], admin=ADMIN, cluster="shop")
    for key in ("stats_config", "stats_flush_interval", "overload_manager", "admin"):
        assert there[key] == here[key]
    assert there["stats_config"]["histogram_bucket_settings"][0]["buckets"] == list(GRID_MS)


def test_without_a_node_name_many_gateways_can_share_the_file() -> None:
    assert rest_bootstrap(ASKED[1], admin=ADMIN, cluster="shop")["node"] == {"cluster": "shop"}


def test_a_request_is_held_for_less_than_envoys_timeout() -> None:
    assert HOLD_S + 5 <= REQUEST_TIMEOUT_S


def test_the_command_prints_the_same_bootstrap() -> None:
    arguments = ["--control-plane", "control.ml.svc.:8082", "--cluster", "shop", "--admin", "0.0.0.0:9901"]
    arguments += ["--memory", "256", "--admin-socket", "/tmp/admin.sock"]
    fairlead = Path(sysconfig.get_path("scripts")) / "fairlead"
    printed = subprocess.run([fairlead, "gateway-bootstrap", *arguments], capture_output=True, text=True, check=True)
    made = rest_bootstrap(
        Endpoint("control.ml.svc.", 8082),
        admin=Endpoint("0.0.0.0", 9901),
        admin_path="/tmp/admin.sock",
        cluster="shop",
        memory_bytes=256 << 20,
    )
    assert json.loads(printed.stdout) == made


def test_the_admin_page_answers_what_is_used_and_nothing_that_changes_the_process(tmp_path: Path) -> None:
    """Before, everybody who reached the port could end the process and read its configuration."""
    [port] = free_ports(1)
    for kind in ("cds", "lds"):
        (tmp_path / f"{kind}.json").write_text('{"resources": []}')
    with running_envoy(bootstrap(str(tmp_path), admin=Endpoint("127.0.0.1", port)), tmp_path) as envoy:

        def status(method: str, path: str) -> int:
            return httpx.request(method, f"http://127.0.0.1:{port}{path}", trust_env=False).status_code

        used = ("/ready", "/server_info", "/stats?usedonly&filter=x", "/stats/prometheus?usedonly", "/clusters")
        assert [status("GET", path) for path in used] == [200] * len(used)
        refused = (
            *(
                "/quitquitquit",
                "/logging?level=trace",
                "/reset_counters",
                "/cpuprofiler?enable=y",
                "/runtime_modify?a=b",
            ),
            *("/healthcheck/ok", "/stats/recentlookups/enable", "/reopen_logs", "/heapprofiler?enable=y"),
        )
        assert [status("POST", path) for path in refused] == [403] * len(refused)
        assert [status("GET", path) for path in ("/", "/config_dump", "/certs", "/memory", "/help")] == [403] * 5
        assert [status("POST", path) for path in ("/ready/../quitquitquit", "/%71uitquitquit")] == [403] * 2
        assert envoy.process.poll() is None
        assert status("POST", "/healthcheck/fail") == 200, "a gateway that drains says so itself"
        assert status("POST", "/drain_listeners?graceful") == 200


@contextmanager
def running_with_a_socket(folder: Path) -> Iterator[tuple[Envoy, int, Path]]:
    """A gateway as on one machine: its admin page is a socket, and a port on which one can only read."""
    [port] = free_ports(1)
    for kind in ("cds", "lds"):
        (folder / f"{kind}.json").write_text('{"resources": []}')
    path = folder / "gateway.sock"
    path.write_text("left by a process that was killed")
    made = bootstrap(str(folder), admin=Endpoint("127.0.0.1", port), admin_path=str(path))
    with running_envoy(made, folder, admin_port=port) as envoy:
        yield envoy, port, path


def test_only_the_owner_of_a_machines_gateway_can_take_it_out_of_service(tmp_path: Path) -> None:
    """Before, every user of the machine could, and every web page that its browser had open."""
    with running_with_a_socket(tmp_path) as (envoy, port, path), httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{port}"
        page = {"origin": "http://evil.example", "sec-fetch-site": "cross-site", "content-type": "text/plain"}
        for one in ("/healthcheck/fail", "/drain_listeners?graceful", "/ready", "/stats", "/quitquitquit"):
            assert [client.post(f"{url}{one}", headers=headers).status_code for headers in ({}, page)] == [403, 403], (
                one
            )
        for one in ("/healthcheck/fail", "/drain_listeners", "/config_dump", "/", "/ready/../healthcheck/fail"):
            assert client.get(f"{url}{one}").status_code == 403, one
        assert envoy.ready()
        mode = path.stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
        assert ask_socket(path, "POST", "/healthcheck/fail").status == 200
        assert not envoy.ready()


def test_at_the_port_one_can_read_what_is_used_under_loopbacks_own_names(tmp_path: Path) -> None:
    with running_with_a_socket(tmp_path) as (_, port, _), httpx.Client(trust_env=False) as client:

        def status(path: str, host: str = f"127.0.0.1:{port}") -> int:
            return client.get(f"http://127.0.0.1:{port}{path}", headers={"host": host}).status_code

        used = ("/ready", "/server_info", "/stats?usedonly&filter=x", "/stats/prometheus?usedonly", "/clusters")
        assert [status(path) for path in used] == [200] * len(used)
        assert [status("/stats", host) for host in ("localhost", "[::1]:80", "127.0.0.1")] == [200] * 3
        assert status("/stats", "evil.example") == 421, "a page whose site's name leads here"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Gateways]:
    """A gateway as in a cluster, "edge-1", which serves a table without a route."""
    with some_gateways(tmp_path) as made:
        replica = made.replica()
        replica.publisher.want(made.compiled())
        replica.publisher.step()
        made.add("edge-1", replica.port)
        yield made


ENDS_OR_CHANGES = (
    *("/healthcheck/fail", "/healthcheck/ok", "/drain_listeners", "/quitquitquit", "/logging?level=trace"),
    *("/runtime_modify?a=b", "/reset_counters", "/cpuprofiler?enable=y", "/ready", "/stats"),
)
"""What may not be sent with POST. Nobody but the container itself may send the first."""
NOT_SHOWN = (
    "/config_dump",
    "/certs",
    "/memory",
    "/",
    "/help",
    "/ready/../config_dump",
    "/%63onfig_dump",
    "/healthcheck/fail",
)


def test_the_network_of_a_pod_can_only_read_a_gateways_admin_page(cluster: Gateways) -> None:
    """Before, without an enforced network policy every pod of the cluster could take a gateway out of service."""
    [site] = cluster.discovery.sites
    with httpx.Client(base_url=f"http://127.0.0.1:{site.admin_port}", trust_env=False) as client:
        assert [client.post(path).status_code for path in ENDS_OR_CHANGES] == [403] * len(ENDS_OR_CHANGES)
        assert {client.get(path).status_code for path in NOT_SHOWN} <= {400, 403}
        used = ("/ready", "/server_info", "/stats?usedonly&filter=x", "/stats/prometheus?usedonly", "/clusters")
        for host in ("10.0.0.7:9901", "localhost"):
            assert [client.get(path, headers={"host": host}).status_code for path in used] == [200] * len(used)
    assert cluster.envoys["edge-1"].ready()
    assert stat.S_IMODE(cluster.socket("edge-1").stat().st_mode) == 0o600


def test_the_port_with_which_a_container_drains_its_gateway_does_nothing_else(cluster: Gateways) -> None:
    port = cluster.drain_ports["edge-1"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.post("/healthcheck/fail").status_code == 421, "a browser cannot name the host"
        as_container = {"host": "drain"}
        assert {client.get(path, headers=as_container).status_code for path in NOT_SHOWN} <= {400, 403}
        others = ENDS_OR_CHANGES[1:]
        assert [client.post(path, headers=as_container).status_code for path in others] == [403] * len(others)
        assert cluster.envoys["edge-1"].ready()
        assert client.post("/healthcheck/fail", headers=as_container).status_code == 200
    assert not cluster.envoys["edge-1"].ready()


def test_a_control_plane_keeps_its_connection_to_a_gateway_that_drains(cluster: Gateways) -> None:
    [site] = cluster.discovery.sites
    with closing(AdminClient(site.host, site.admin_port, timeout_s=5, over_http=True)) as admin:
        before = admin.read()
        assert ask_socket(cluster.socket("edge-1"), "POST", "/healthcheck/fail").status == 200
        during = [admin.read() for _ in range(3)]
    assert before is not None
    assert [one and one.connection for one in during] == [before.connection] * 3
    assert during[-1] is not None
    assert during[-1].versions == before.versions


def test_before_its_first_configuration_a_gateway_can_be_read_through_its_socket_alone(tmp_path: Path) -> None:
    with some_gateways(tmp_path) as made:
        replica = made.replica()
        envoy = made.add("edge-1", replica.port, wait=False)
        until(made.socket("edge-1").exists)
        assert ask_socket(made.socket("edge-1"), "GET", "/ready").status == 503
        assert not envoy.ready()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{envoy.admin_port}/ready", trust_env=False)
        replica.publisher.want(made.compiled())
        replica.publisher.step()
        until(envoy.ready)

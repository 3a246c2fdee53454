from datetime import UTC, datetime
from pathlib import Path

from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.endpoints import ReadyInstances, ServiceNames
from fairlead.routing.snapshot import Endpoint
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REF = VersionRef(version="1.0.0", identity="0123456789")
OTHER = VersionRef(version="1.1.0", identity="abcdef0123")


def instance(port: int, *, ready: bool) -> Instance:
    return Instance(id=f"i{port}", model="iris", ref=REF, host="127.0.0.1", port=port, ready=ready, observed_at=NOW)


def test_only_ready_instances_are_endpoints(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    for one in (instance(9002, ready=True), instance(9001, ready=True), instance(9003, ready=False)):
        store.report(one)
    assert ReadyInstances(store).endpoints([]) == {
        ("default", "iris", REF): [Endpoint("127.0.0.1", 9001), Endpoint("127.0.0.1", 9002)]
    }


def test_every_version_in_a_table_has_the_full_dns_name_of_its_service() -> None:
    table = Table(namespace="ml", model="iris", stable=REF, pins=(REF, OTHER))
    assert ServiceNames("corp.example.").endpoints([table]) == {
        ("ml", "iris", REF): [Endpoint("iris-0123456789.ml.svc.corp.example.", 8080)],
        ("ml", "iris", OTHER): [Endpoint("iris-abcdef0123.ml.svc.corp.example.", 8080)],
    }


def test_with_tls_it_has_the_other_port_and_the_folder_that_tells_a_gateway_its_certificates() -> None:
    table = Table(namespace="ml", model="iris", stable=REF, pins=(REF,))
    assert ServiceNames("corp.example.", 8443, secrets="/etc/fairlead").endpoints([table]) == {
        ("ml", "iris", REF): [Endpoint("iris-0123456789.ml.svc.corp.example.", 8443, "/etc/fairlead")],
    }


def test_only_the_names_of_versions_that_requests_may_wait_for_are_looked_up_often() -> None:
    table = Table(namespace="ml", model="iris", stable=REF, pins=(REF, OTHER))
    found = ServiceNames().endpoints([table], {("ml", "iris", OTHER)})
    assert {ref: one.often for (_, _, ref), (one,) in found.items()} == {REF: False, OTHER: True}

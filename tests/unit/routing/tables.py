"""Hypothesis strategies for tables and endpoints, and a few fixed examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Mirror, Table
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.snapshot import Endpoint, Routed, Settings

Endpoints = Mapping[tuple[str, str, VersionRef], Sequence[Endpoint]]

SETTINGS = Settings(port=8080, routes_from=from_folder("/srv/gateway", "rds"))

V1 = VersionRef(version="1.0.0", identity="a" * 10)
V2 = VersionRef(version="1.1.0", identity="b" * 10)
V3 = VersionRef(version="1.2.0-rc.1", identity="c" * 10)


def iris(seq: int = 12, **fields: object) -> Routed:
    return Routed("iris", seq, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1, V2, V3), **fields}))


refs = st.builds(
    VersionRef,
    version=st.sampled_from(["1.0.0", "1.1.0", "2.0.0-rc.1", "2", "a-b"]),
    identity=st.sampled_from(["a" * 10, "b" * 10, "0123456789"]),
)
headers = st.none() | st.sampled_from(["x-user-id", "x-tenant"])
hosts = st.builds(
    Endpoint, host=st.sampled_from(["127.0.0.1", "10.0.0.7", "::1", "iris.ml.svc.cluster.local."]), port=st.just(8080)
) | st.builds(Endpoint, host=st.just("127.0.0.1"), port=st.integers(1, 65535))


@st.composite
def tables(draw: st.DrawFn, model: str) -> Table:
    pins = draw(st.lists(refs, min_size=1, max_size=4, unique=True))
    candidate = draw(st.none() | st.sampled_from(pins[1:])) if len(pins) > 1 else None
    mirrored = draw(st.lists(st.sampled_from(pins), max_size=2, unique=True))
    return Table(
        namespace=draw(st.sampled_from(["default", "team-a"])),
        model=model,
        attempt=draw(st.integers(0, 9)),
        stable=pins[0],
        candidate=candidate,
        weight=draw(st.integers(0, 10_000)) if candidate else 0,
        pins=tuple(draw(st.permutations(pins))),
        mirrors=tuple(Mirror(version=ref, share=draw(st.integers(1, 10_000))) for ref in mirrored),
        sticky=draw(headers),
        request_timeout_s=draw(st.sampled_from([0.25, 10.0, 90.0])),
        per_try_timeout_s=draw(st.sampled_from([0.01, 0.25])),
        idempotent=draw(st.booleans()),
    )


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[Routed], Endpoints]:
    """Tables of a few models with their endpoints; some versions have no endpoint."""
    names = draw(st.lists(st.sampled_from(["iris", "sentiment", "a", "a-1", "v2"]), max_size=3, unique=True))
    routed = [Routed(name, draw(st.integers(1, 99)), draw(tables(name))) for name in names]
    endpoints = {
        (one.table.namespace, one.table.model, ref): draw(st.lists(hosts, max_size=3))
        for one in routed
        for ref in one.table.pins
    }
    return routed, endpoints

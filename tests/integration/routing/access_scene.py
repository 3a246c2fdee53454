"""How a client sends what it has, and what a gateway counts of it."""

from __future__ import annotations

import httpx

from integration.routing.edge import Edge


def key(value: str) -> dict[str, str]:
    return {"x-api-key": value}


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def stats(edge: Edge, pattern: str) -> dict[str, int]:
    text = httpx.get(f"http://127.0.0.1:{edge.admin_port}/stats", params={"filter": pattern}, trust_env=False).text
    pairs = (line.rsplit(": ", 1) for line in text.splitlines())
    return {name: int(value) for name, value in pairs if value.isdigit()}

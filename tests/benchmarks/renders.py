"""Renders both charts with random values, and checks every object against the schemas of its kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from charts.random_renders import BATCH, random_renders
from charts.schemas import VERSIONS
from support import proof

TITLE = "the charts: random values, every object checked against the schema of its kind"
EXAMPLES = {"full": 20, "reduced": 1}
PARTS = (
    "source.kind: baked", "source.kind: image", "source.kind: init", "source.kind: pvc", "source.cache",
    "a GPU pool", "ResourceClaimTemplate", "autoscaling.kind: managed", "minInstances: 0", "ScaledObject",
    "HorizontalPodAutoscaler", "tls", "Certificate", "HTTPRoute", "PodMonitor", "PrometheusRule",
)  # fmt: skip
"""What must be in enough of the renders."""
ENOUGH = {"full": 15, "reduced": 0}


def prove(size: proof.Size, folder: Path) -> proof.Findings:  # noqa: ARG001 - every proof gets a folder
    """All renders of this size. An object that a schema rejects ends it."""
    seen: Counter[str] = Counter()
    for chart in ("model", "platform"):
        seen += random_renders(chart, EXAMPLES[size])
    found = proof.Findings()
    total, least = seen["renders of charts/model"] + seen["renders of charts/platform"], EXAMPLES[size] * BATCH
    found.claim("renders whose objects are all valid", f"at least {least}", total, total >= least)
    rarest = min(PARTS, key=lambda part: seen[part])
    found.claim(
        "renders with the rarest of the parts", f"at least {ENOUGH[size]}", f"{seen[rarest]} ({rarest})",
        seen[rarest] >= ENOUGH[size],
    )  # fmt: skip
    found.note("releases of Kubernetes", f"{VERSIONS[0]}, {VERSIONS[-1]}, and one between in turn")
    found.numbers = {"renders with each part": {part: seen[part] for part in PARTS}}
    return found


if __name__ == "__main__":
    proof.run("renders", TITLE, prove)

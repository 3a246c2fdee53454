"""Draws docs/autoscaling.svg: who reads what in the loop from a model's pods to their number, and what a fault does."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from monitoring.settings import Settings

WIDTH, HEIGHT = 1000, 370
INK, GREY, FAULT, PAPER = "#222222", "#6a6a6a", "#b04a00", "#ffffff"
_LINE = 18


@dataclass(frozen=True, slots=True)
class Box:
    """One part of the loop. `says` is what it does, `fault` what happens to the pods without it."""

    x: int
    y: int
    width: int
    title: str
    says: tuple[str, ...]
    fault: str = ""
    fill: str = "#eaf2f8"

    @property
    def height(self) -> int:
        """Room for all its lines."""
        return 20 + _LINE * (1 + len(self.says) + bool(self.fault))

    @property
    def middle(self) -> int:
        """Where upright arrows meet it."""
        return self.x + self.width // 2

    @property
    def bottom(self) -> int:
        """Its lower edge."""
        return self.y + self.height


def _boxes(settings: Settings) -> dict[str, Box]:
    ours = "#eaf5ea"
    return {
        "prometheus": Box(
            20,
            30,
            250,
            "Prometheus",
            (f"load by version, over {settings.scaling_window}",),
            "without it: pods are kept",
        ),
        "keda": Box(380, 30, 230, "KEDA", ("one number for each trigger",), "without it: pods are kept"),
        "hpa": Box(
            710,
            30,
            270,
            "HorizontalPodAutoscaler",
            ("the largest number decides,", "from instances to maxInstances"),
            "one number missing: no pod goes",
        ),
        "pods": Box(20, 240, 250, "Pods of one version", ("in flight, requests, queue, latency",), fill=ours),
        "control": Box(
            380, 240, 230, "Control plane", ("how many the rollout wants",), "without it: pods are kept", fill=ours
        ),
        "deployment": Box(710, 240, 270, "Deployment", ("the chart never writes its replicas",)),
    }


def draw(settings: Settings) -> str:
    """The picture, as SVG."""
    boxes = _boxes(settings)
    prometheus, keda, hpa = boxes["prometheus"], boxes["keda"], boxes["hpa"]
    pods, control, deployment = boxes["pods"], boxes["control"], boxes["deployment"]
    level = keda.y + 35
    parts = [
        *(_box(one) for one in boxes.values()),
        _arrow(pods.middle, pods.y, pods.middle, prometheus.bottom, "scrape, every 15 s"),
        _arrow(prometheus.x + prometheus.width, level, keda.x, level, "queries"),
        _arrow(control.middle, control.y, keda.middle, keda.bottom, "metrics-api"),
        _arrow(keda.x + keda.width, level, hpa.x, level, "every 15 s"),
        _arrow(hpa.middle, hpa.bottom, deployment.middle, deployment.y, ""),
        _text(deployment.middle - 10, deployment.y - 65, "up: doubled or two more in a minute", GREY, "end"),
        _text(deployment.middle - 10, deployment.y - 65 + _LINE, "down: one pod in two minutes", GREY, "end"),
        _path(f"M{deployment.middle} {deployment.bottom} V{HEIGHT - 20} H{pods.middle} V{pods.bottom + 2}"),
        _text(control.middle, HEIGHT - 28, "starts and drains pods", GREY, "middle"),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="The loop that scales a version">\n'
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _box(box: Box) -> str:
    lines = [(box.title, INK), *((line, GREY) for line in box.says), *([(box.fault, FAULT)] if box.fault else [])]
    texts = [
        _text(box.middle, box.y + 24 + _LINE * at, line, colour, "middle", bold=not at)
        for at, (line, colour) in enumerate(lines)
    ]
    frame = (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" fill="{box.fill}" '
        f'stroke="{GREY}"/>'
    )
    return "\n".join((frame, *texts))


def _arrow(x1: int, y1: int, x2: int, y2: int, label: str) -> str:
    """An arrow with a label: above a level one, to the right of an upright one."""
    if y1 == y2:
        words = _text((x1 + x2) // 2, y1 - 8, label, GREY, "middle")
    else:
        words = _text(x1 + 10, (y1 + y2) // 2, label, GREY)
    return f"{_path(f'M{x1} {y1} L{x2} {y2}')}\n{words}"


def _path(line: str) -> str:
    return f'<path d="{line}" fill="none" stroke="{INK}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _text(x: int, y: int, words: str, colour: str, anchor: str = "start", *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'

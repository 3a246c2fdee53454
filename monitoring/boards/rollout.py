"""A release: its weight, its gates, the evidence, and both versions side by side."""

from __future__ import annotations

from fairlead.contracts import control_telemetry
from monitoring.boards.choices import OF_MODEL, chosen, releases, variables
from monitoring.looks import PERCENT, words
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import largest, series, total
from monitoring.recording import MODEL, Records

_BAD, _NEITHER = "Degraded|Conflict", "Progressing|Paused"
"""The conditions that are bad while they hold, and those that are neither good nor bad. The others are good."""


def board(records: Records) -> Dashboard:
    """The dashboard."""

    name = "{{model}} {{version}}"
    slowest = max(records.latency)
    verdict = "sum by (model, gate) ({}) + 2 * sum by (model, gate) ({})".format(
        *(series(control_telemetry.CONTROL_VERDICT, verdict=one, **OF_MODEL) for one in ("inconclusive", "fail"))
    )
    verdicts = {
        str(value): {"text": word, "color": colour, "index": value}
        for value, (word, colour) in enumerate((("pass", "green"), ("inconclusive", "yellow"), ("fail", "red")))
    }
    return Dashboard(
        "fairlead-rollout",
        "Fairlead / Rollout",
        "A release: its weight, its gates, the evidence, and both versions side by side.",
        variables(records, "namespace", "model"),
        (
            Row(
                "Weight",
                (
                    Panel(
                        "Weight",
                        "The share of the requests that each version is meant to get.",
                        (Query(chosen(records.weight, **OF_MODEL), f"{name} ({{{{role}}}})"),),
                        PERCENT,
                        defaults={"max": 1},
                    ),
                    Panel(
                        "Share",
                        "What each version really got in this step. Far from the weight: few users, or a candidate "
                        "without instances.",
                        (Query(chosen(records.share, **OF_MODEL), f"{name} ({{{{role}}}})"),),
                        PERCENT,
                        defaults={"max": 1},
                    ),
                    Panel(
                        "Step",
                        "The step of the rollout; no line where there is none.",
                        (Query(largest(series(control_telemetry.CONTROL_STEP, **OF_MODEL), "model"), "{{model}}"),),
                    ),
                ),
            ),
            Row(
                "Gates",
                (
                    Panel(
                        "Verdicts",
                        "What each gate says. Inconclusive holds the weight, fail rolls back or holds.",
                        (Query(verdict, "{{model}} {{gate}}"),),
                        kind="state-timeline",
                        width=12,
                        height=10,
                        defaults={"mappings": [{"type": "value", "options": verdicts}]},
                    ),
                    Panel(
                        "Conditions",
                        "The conditions of the route, and why they are as they are. What is orange is not as it should "
                        "be.",
                        (
                            _conditions(f"!~{_BAD}|{_NEITHER}"),
                            _conditions(f"~{_BAD}", "1 - "),
                            _conditions(f"~{_NEITHER}", "2 + "),
                        ),
                        kind="state-timeline",
                        width=12,
                        height=10,
                        defaults=words(bad="orange", good="green", no="super-light-blue", yes="blue"),
                    ),
                ),
            ),
            Row(
                "Evidence",
                (
                    Panel(
                        "Evidence of harm",
                        "As a share of what decides: at 100 % the candidate is rolled back.",
                        (
                            Query(
                                largest(
                                    series(control_telemetry.CONTROL_EVIDENCE, side="harm", **OF_MODEL), "model", "gate"
                                ),
                                "{{model}} {{gate}}",
                            ),
                        ),
                        PERCENT,
                        defaults={"min": None},
                    ),
                    Panel(
                        "Evidence of safety",
                        "As a share of what decides: at 100 % the gate passes.",
                        (
                            Query(
                                largest(
                                    series(control_telemetry.CONTROL_EVIDENCE, side="safe", **OF_MODEL), "model", "gate"
                                ),
                                "{{model}} {{gate}}",
                            ),
                        ),
                        PERCENT,
                        defaults={"min": None},
                    ),
                    Panel(
                        "Counted requests",
                        "What this release has counted so far, and how many of it were bad.",
                        (
                            Query(
                                largest(series(control_telemetry.CONTROL_COUNTED, **OF_MODEL), "model", "role"),
                                "{{model}} {{role}}",
                            ),
                            Query(
                                largest(series(control_telemetry.CONTROL_COUNTED_BAD, **OF_MODEL), "model", "role"),
                                "{{model}} {{role}} bad",
                            ),
                        ),
                    ),
                ),
            ),
            Row(
                "Shadow",
                (
                    Panel(
                        "Agreement",
                        "The share of mirrored requests that the candidate answered as stable did.",
                        (
                            Query(
                                f"{_pairs(outcome='same')} / ({_pairs()} > 0)",
                                "{{model}}",
                            ),
                        ),
                        PERCENT,
                        width=12,
                        defaults={"max": 1},
                    ),
                    Panel(
                        "Other answers",
                        "Mirrored requests that the candidate answered otherwise, by what differs.",
                        (Query(_pairs("outcome", outcome="!=same"), "{{model}} {{outcome}}"),),
                        width=12,
                    ),
                ),
            ),
            Row(
                "Both versions",
                (
                    Panel(
                        "Requests",
                        "Requests per second.",
                        (Query(chosen(records.requests, **OF_MODEL), name),),
                        "reqps",
                    ),
                    Panel(
                        "Failures of the version itself",
                        "The share of tries that an instance failed.",
                        (Query(chosen(records.failed_tries, **OF_MODEL), name),),
                        PERCENT,
                    ),
                    Panel(
                        "Failed requests",
                        "The share that users got as 5xx.",
                        (Query(chosen(records.errors, **OF_MODEL), name),),
                        PERCENT,
                    ),
                    Panel(
                        f"Latency p{slowest * 100:g}",
                        "At the gateway.",
                        (Query(chosen(records.latency[slowest], **OF_MODEL), name),),
                        "s",
                    ),
                    Panel(
                        "Sent again",
                        "Requests that the gateway sent a second time, to stable if the first was the candidate's.",
                        (Query(chosen(records.retries, **OF_MODEL), name),),
                        "reqps",
                    ),
                    Panel(
                        "Ready instances",
                        "Instances by role.",
                        (
                            Query(
                                largest(series(control_telemetry.CONTROL_READY, **OF_MODEL), "model", "role"),
                                "{{model}} {{role}}",
                            ),
                        ),
                    ),
                ),
            ),
        ),
        (releases(**OF_MODEL),),
    )


def _conditions(which: str, before: str = "") -> Query:
    """Some of the conditions. `before` makes 0 and 1 what they mean: 0 bad, 1 good, 2 no, 3 yes."""
    found = series(control_telemetry.CONTROL_CONDITION, condition=which, **OF_MODEL)
    return Query(
        f"{before}{largest(found, 'model', 'condition', 'reason')}",
        "{{model}} {{condition}}: {{reason}}",
    )


def _pairs(*labels: str, **matchers: str) -> str:
    found = series(control_telemetry.CONTROL_SHADOW_PAIRS, **OF_MODEL, **matchers)
    return total(largest(found, *MODEL, "outcome"), *MODEL, *labels)

"""The three CustomResourceDefinitions as data."""

from __future__ import annotations

from typing import Any

from fairlead.contracts import labels
from fairlead.contracts.action import Action
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import RouteSpec
from fairlead.contracts.status import Status
from fairlead.store.kubernetes.schema import rules
from fairlead.store.kubernetes.schema.structural import Schema, lean, structural
from fairlead.store.windows import MAX_WINDOWS

NAME_LENGTH = 40
"""Names of models and versions are at most so long; the API server wants it as a number, not inside a pattern."""


_FENCE = {
    "type": "integer",
    "description": "The lease transition that the writer of this status led in. A lower one may write no more.",
}


def definitions() -> list[dict[str, Any]]:
    """All three, in the order to apply them."""
    return [_routes(), _revisions(), _actions()]


def _routes() -> dict[str, Any]:
    spec = structural(RouteSpec, defaults=True)
    fields = spec["properties"]
    # A folder is a laptop's; a cluster runs images.
    del fields["versions"]["additionalProperties"]["properties"]["source"]
    fields["versions"]["additionalProperties"]["description"] = "One immutable version: its image and its artifact."
    for names in (fields["target"], fields["mirrors"]["items"]):
        names["properties"]["version"]["maxLength"] = NAME_LENGTH
    for text in fields["timeouts"]["properties"].values():
        text["maxLength"] = 32
    rules.add(fields["versions"], rules.version_names(fields["target"]["properties"]["version"]["pattern"]))
    rules.add(fields["timeouts"], rules.TRY_FITS)
    rules.add(fields["strategy"]["properties"]["steps"], rules.STEPS_RISE)
    rules.add(fields["strategy"]["properties"]["gates"], rules.GATES_ONCE)
    rules.add(spec, rules.NAMES_EXIST)
    return _definition(
        "ModelRoute",
        "mr",
        "What a model's public path shall serve. The spec is the user's alone, the status is Fairlead's.",
        {"spec": spec, "status": _route_status()},
        columns=(
            _column("Target", ".spec.target.version", "What is asked for."),
            _column("Stable", ".status.stable.version", "What serves."),
            _column("Candidate", ".status.candidate.version", "What is being released."),
            _column("Weight", ".status.weight", "The candidate's share, in 1/10,000.", kind="integer"),
            _column("Phase", ".status.phase", "Where the rollout stands."),
            _column("Revision", ".status.revision", "The last line of the ledger."),
            _column("Ready", ".status.conditions[?(@.type=='Ready')].status", "Whether stable serves."),
            _column("Waiting", ".status.waiting", "What the rollout waits for.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "Since when.", kind="date"),
        ),
        validations=rules.ROUTE_NAME,
    )


def _route_status() -> Schema:
    # Nothing is required: a window may be there before the first whole status.
    status = lean(structural(Status))
    # A copy for whoever looks; the window itself is in `analysis`, and its parts are a page of their own.
    status["properties"]["lastWindow"] = {
        "type": "object",
        "nullable": True,
        "description": "What the gateways counted last.",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    status["properties"]["shadow"] = {
        "type": "object",
        "nullable": True,
        "description": "What mirrored answers were like.",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    status["properties"] |= {
        "conditions": _conditions(),
        "analysis": {
            "type": "object",
            "description": "What was counted since the last revision; the next one takes it along as its evidence.",
            "properties": {
                "head": {"type": "integer", "description": "The revision they were counted under."},
                # A line of JSON each: 240 objects, written every few seconds, would keep the API server busy.
                "windows": {"type": "array", "maxItems": MAX_WINDOWS, "items": {"type": "string"}},
            },
        },
        "checkpoint": {**lean(structural(Checkpoint)), "nullable": True},
        "fence": _FENCE,
    }
    return status


def _conditions() -> Schema:
    text: Schema = {"type": "string"}
    fields = {
        "type": {**text, "maxLength": 316},
        "status": {**text, "enum": ["True", "False", "Unknown"]},
        "reason": {**text, "maxLength": 1024},
        "message": {**text, "maxLength": 32768},
        "observedGeneration": {"type": "integer", "minimum": 0},
        "lastTransitionTime": {**text, "format": "date-time"},
    }
    return {
        "type": "array",
        "description": "What is so and what is not. Ready stays True while stable serves, whatever a rollout does.",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {"type": "object", "required": ["type", "status"], "properties": fields},
    }


def _revisions() -> dict[str, Any]:
    spec = structural(Revision)
    fields = spec["properties"]
    fields["windows"]["maxItems"] = MAX_WINDOWS
    fields["route"]["maxLength"] = NAME_LENGTH
    rules.add(spec, rules.NEVER_CHANGES)
    return _definition(
        "ModelRouteRevision",
        "mrr",
        "One line of a route's ledger: a table that was served, with its cause and its evidence. Written by Fairlead.",
        {"spec": spec},
        columns=(
            _column("Cause", ".spec.cause", "Why it was appended."),
            _column("Stable", ".spec.table.stable.version", "Who had the rest of the weight."),
            _column("Candidate", ".spec.table.candidate.version", "Who was being released."),
            _column("Weight", ".spec.table.weight", "The candidate's share, in 1/10,000.", kind="integer"),
            _column("Actor", ".spec.actor", "Who asked for it."),
            _column("Reason", ".spec.reason", "Why, as a sentence.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "Since when.", kind="date"),
        ),
        validations=rules.NAMED_BY_PLACE,
    )


def _actions() -> dict[str, Any]:
    whole = structural(Action, defaults=True)
    fields = whole["properties"]
    ours = ("outcome", "message", "revision", "actorVerified")
    status = {name: fields.pop(name) for name in ours}
    del fields["namespace"], fields["name"]
    fields["createdAt"]["description"] = "When the asker's clock said so; the object's own time counts without it."
    for name, text in (("route", NAME_LENGTH), ("actor", 1024), ("reason", 4096)):
        fields[name]["maxLength"] = text
    spec = {**whole, "required": ["route", "type", "actor"], "description": "What is asked, of which route, by whom."}
    rules.add(spec, rules.NEVER_CHANGES)
    status["fence"] = _FENCE
    answer: Schema = {"type": "object", "description": "What the engine made of it.", "properties": status}
    rules.add(answer, rules.OUTCOME_STAYS)
    return _definition(
        "ModelRouteAction",
        "mra",
        "A request to the rollout engine: create it once, read its status. Its name makes it idempotent.",
        {"spec": spec, "status": answer},
        columns=(
            _column("Route", ".spec.route", "The route it is about."),
            _column("Type", ".spec.type", "What is asked."),
            _column("Actor", ".spec.actor", "Who asks."),
            _column("Outcome", ".status.outcome", "What became of it."),
            _column("Revision", ".status.revision", "The revision that carried it out.", kind="integer"),
            _column("Message", ".status.message", "The engine's sentence.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "Since when.", kind="date"),
        ),
        validations=rules.ACTION_NAME,
    )


def _column(name: str, path: str, told: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": told}
    return column | ({"priority": priority} if priority else {})


def _definition(
    kind: str,
    short: str,
    told: str,
    parts: dict[str, Schema],
    *,
    columns: tuple[dict[str, Any], ...],
    validations: rules.Rules | None = None,
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema: Schema = {"type": "object", "description": told, "required": ["spec"], "properties": parts}
    if validations:
        schema["x-kubernetes-validations"] = validations
    version = {
        "name": labels.API_VERSION.rsplit("/", 1)[1],
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": schema},
        **({"subresources": {"status": {}}} if "status" in parts else {}),
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": [short]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{labels.GROUP}",
            # Deleting a definition deletes every object of its kind: no uninstall may do that.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {labels.PART_OF: "fairlead"},
        },
        "spec": {
            "group": labels.GROUP,
            "scope": "Namespaced",
            "names": {**names, "categories": ["fairlead"]},
            "versions": [version],
        },
    }

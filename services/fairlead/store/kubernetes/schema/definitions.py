"""The three CustomResourceDefinitions as data."""

from __future__ import annotations

from typing import Any

from fairlead.contracts import labels
from fairlead.contracts.action import Action
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import RouteSpec
from fairlead.contracts.status import Status
from fairlead.store.kubernetes.schema import rules
from fairlead.store.kubernetes.schema.structural import Schema, simplified, structural
from fairlead.store.windows import MAX_WINDOWS

NAME_LENGTH = 40
"""The maximum length of model and version names. CEL cost estimates need it as `maxLength`, not inside a pattern."""


_FENCE = {
    "type": "integer",
    "description": "The lease transition of the leader that wrote this status. Writes with a lower one are refused.",
}


def definitions() -> list[dict[str, Any]]:
    """All three, in the order to apply them."""
    return [_routes(), _revisions(), _actions()]


def _routes() -> dict[str, Any]:
    spec = structural(RouteSpec, defaults=True)
    fields = spec["properties"]
    # A model folder is for local use only; a cluster runs images.
    for name in ("source", "folder"):
        del fields["versions"]["additionalProperties"]["properties"][name]
    fields["versions"]["additionalProperties"]["description"] = "One immutable version: its image and its artifact."
    for names in (fields["target"], fields["mirrors"]["items"]):
        names["properties"]["version"]["maxLength"] = NAME_LENGTH
    times = fields["scaleToZero"]["properties"]
    for text in (*fields["timeouts"]["properties"].values(), times["after"], times["wait"]):
        text["maxLength"] = 32
    rules.add(fields["versions"], rules.version_names(fields["target"]["properties"]["version"]["pattern"]))
    rules.add(fields["timeouts"], rules.TRY_FITS)
    rules.add(fields["scaleToZero"], rules.WAITS)
    rules.add(fields["strategy"]["properties"]["steps"], rules.STEPS_RISE)
    rules.add(fields["strategy"]["properties"]["gates"], rules.GATES_ONCE)
    rules.add(spec, rules.NAMES_EXIST)
    return _definition(
        "ModelRoute",
        "mr",
        "Which versions a model's public path serves. Users write the spec, Fairlead writes the status.",
        {"spec": spec, "status": _route_status()},
        columns=(
            _column("Target", ".spec.target.version", "The requested version."),
            _column("Stable", ".status.stable.version", "The version that serves."),
            _column("Candidate", ".status.candidate.version", "The version being released."),
            _column("Weight", ".status.weight", "The candidate's weight, in 1/10,000.", kind="integer"),
            _column("Phase", ".status.phase", "The state of the rollout."),
            _column("Revision", ".status.revision", "The newest revision."),
            _column("Ready", ".status.conditions[?(@.type=='Ready')].status", "Whether stable serves."),
            _column("Health", ".status.conditions[?(@.type=='Ready')].reason", "How stable serves."),
            _column("Waiting", ".status.waiting", "What the rollout waits for.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "The age of the route.", kind="date"),
        ),
        validations=rules.ROUTE_NAME,
    )


def _route_status() -> Schema:
    # No field is required: a window may be stored before the first whole status.
    status = simplified(structural(Status))
    # For display only, without a detailed schema; the windows themselves are in `analysis`.
    shown = {
        "lastWindow": "The gateways' counts in the last window.",
        "shadow": "How mirrored answers compare.",
        "evidence": "Counts of the attempt so far.",
    }
    for name, description in shown.items():
        status["properties"][name] = {
            "type": "object",
            "nullable": True,
            "description": description,
            "x-kubernetes-preserve-unknown-fields": True,
        }
    status["properties"]["wanted"]["items"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    status["properties"] |= {
        "conditions": _conditions(),
        "analysis": {
            "type": "object",
            "description": "Windows counted since the newest revision, which the next one stores.",
            "properties": {
                "head": {"type": "integer", "description": "The revision they were counted under."},
                # One line of JSON each: 240 nested objects, written every few seconds, would load the API server.
                "windows": {"type": "array", "maxItems": MAX_WINDOWS, "items": {"type": "string"}},
            },
        },
        "checkpoint": {**simplified(structural(Checkpoint)), "nullable": True},
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
        "description": "Conditions of the route. Ready stays True while stable serves, also during a rollout.",
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
        "One entry of a route's ledger: a routing table with its cause and its evidence. Written by Fairlead.",
        {"spec": spec},
        columns=(
            _column("Cause", ".spec.cause", "Why the revision was appended."),
            _column("Stable", ".spec.table.stable.version", "The stable version; it has the rest of the weight."),
            _column("Candidate", ".spec.table.candidate.version", "The version being released."),
            _column("Weight", ".spec.table.weight", "The candidate's weight, in 1/10,000.", kind="integer"),
            _column("Actor", ".spec.actor", "Who caused the revision."),
            _column("Reason", ".spec.reason", "The reason, as a sentence.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "The age of the revision.", kind="date"),
        ),
        validations=rules.NAMED_BY_PLACE,
    )


def _actions() -> dict[str, Any]:
    whole = structural(Action, defaults=True)
    fields = whole["properties"]
    ours = ("outcome", "message", "revision", "actorVerified")
    status = {name: fields.pop(name) for name in ours}
    del fields["namespace"], fields["name"]
    fields["createdAt"]["description"] = "The time by the client's clock. If absent, creationTimestamp counts."
    for name, text in (("route", NAME_LENGTH), ("actor", 1024), ("reason", 4096)):
        fields[name]["maxLength"] = text
    spec = {**whole, "required": ["route", "type", "actor"], "description": "The requested action, route and actor."}
    rules.add(spec, rules.NEVER_CHANGES)
    status["fence"] = _FENCE
    answer: Schema = {"type": "object", "description": "The result, written by the engine.", "properties": status}
    rules.add(answer, rules.OUTCOME_STAYS)
    return _definition(
        "ModelRouteAction",
        "mra",
        "A request to the rollout engine. Create it once and read its status; its name makes it idempotent.",
        {"spec": spec, "status": answer},
        columns=(
            _column("Route", ".spec.route", "The route that the action applies to."),
            _column("Type", ".spec.type", "The requested action."),
            _column("Actor", ".spec.actor", "Who requested the action."),
            _column("Outcome", ".status.outcome", "The result of the action."),
            _column("Revision", ".status.revision", "The revision that carried the action out.", kind="integer"),
            _column("Message", ".status.message", "The engine's explanation.", priority=1),
            _column("Age", ".metadata.creationTimestamp", "The age of the action.", kind="date"),
        ),
        validations=rules.ACTION_NAME,
    )


def _column(name: str, path: str, description: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


def _definition(
    kind: str,
    short: str,
    description: str,
    parts: dict[str, Schema],
    *,
    columns: tuple[dict[str, Any], ...],
    validations: rules.Rules | None = None,
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema: Schema = {"type": "object", "description": description, "required": ["spec"], "properties": parts}
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
            # Deleting a definition deletes every object of its kind, so an uninstall must keep it.
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

"""Why the devices that a pod claims (dynamic resource allocation) are not allocated, as one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairlead.placement.explain import Cause, Verdict
from fairlead.placement.wishes import Object


def explain_claims(
    pod: Object,
    claims: Mapping[str, Object],
    templates: Mapping[str, Object],
    classes: Sequence[str] | None,
) -> Verdict | None:
    """The first claim of the pod that keeps it waiting; None if it has none, or all are allocated.

    `claims` and `templates` of its namespace are by name; `classes` are the cluster's DeviceClasses, None if they may
    not be listed.
    """
    made = {
        one["name"]: one.get("resourceClaimName")
        for one in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for wish in pod["spec"].get("resourceClaims") or ():
        name, template = wish["name"], wish.get("resourceClaimTemplateName")
        claim = claims.get(wish.get("resourceClaimName") or made.get(name) or "")
        if (claim or {}).get("status", {}).get("allocation"):
            continue
        if claim is None and template is None:
            why = f"its claim {name} is the ResourceClaim {wish.get('resourceClaimName')}, which does not exist"
            return Verdict(Cause.CLAIM, why, "create the ResourceClaim")
        if claim is None and template not in templates:
            why = f"its claim {name} is made from the ResourceClaimTemplate {template}, which does not exist"
            return Verdict(Cause.CLAIM, why, "upgrade the model's release: the chart renders it with gpu.mode: dra")
        spec = claim["spec"] if claim is not None else templates[str(template)]["spec"]["spec"]
        asked = list(dict.fromkeys(_classes(spec)))
        missing = [] if classes is None else [one for one in asked if one not in classes]
        if missing:
            why = f"its claim {name} asks for the DeviceClass {missing[0]}, which does not exist"
            return Verdict(Cause.CLAIM, why, "install the driver of the device, which brings the class")
        why = f"its claim {name} is not allocated: no free device of the class {' or '.join(asked)} is what it asks for"
        return Verdict(Cause.CLAIM, why, _ADVICE)
    return None


_ADVICE = (
    "compare workload.gpu with the devices: kubectl get resourceslices -o yaml; "
    "Kubernetes before 1.38 takes no claimed device from a pod with a lower priority"
)


def _classes(spec: Object) -> Iterator[str]:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for one in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if one:
                yield str(one["deviceClassName"])

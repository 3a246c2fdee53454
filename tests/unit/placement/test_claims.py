from __future__ import annotations

from typing import Any

import pytest

from fairlead.placement.claims import explain_claims
from fairlead.placement.explain import Cause

REQUEST = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}}
EITHER = {"devices": {"requests": [{"firstAvailable": [{"deviceClassName": "a"}, {"deviceClassName": "b"}]}]}}
TEMPLATES: dict[str, Any] = {"iris-gpu": {"spec": {"spec": REQUEST}}}
CLAIM = {"spec": REQUEST}
POD: dict[str, Any] = {
    "spec": {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "iris-gpu"}]},
    "status": {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "made"}]},
}
NAMED = {"spec": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "mine"}]}}
CLASSES = ["gpu.nvidia.com", "a", "b"]


@pytest.mark.parametrize(
    ("pod", "claims", "templates", "classes", "why"),
    [
        (POD, {}, {}, CLASSES, "gpu is made from the ResourceClaimTemplate iris-gpu, which does not exist"),
        (NAMED, {}, {}, CLASSES, "gpu is the ResourceClaim mine, which does not exist"),
        (POD, {}, TEMPLATES, [], "gpu asks for the DeviceClass gpu.nvidia.com, which does not exist"),
        (
            POD,
            {"made": CLAIM},
            TEMPLATES,
            CLASSES,
            "gpu is not allocated: no free device of the class gpu.nvidia.com is",
        ),
        (POD, {}, TEMPLATES, None, "gpu is not allocated: no free device of the class gpu.nvidia.com is"),
        (NAMED, {"mine": {"spec": EITHER}}, {}, CLASSES, "gpu is not allocated: no free device of the class a or b is"),
    ],
)
def test_the_first_claim_that_is_not_allocated_is_named(
    pod: Any, claims: Any, templates: Any, classes: Any, why: str
) -> None:
    found = explain_claims(pod, claims, templates, classes)
    assert found is not None
    assert found.cause is Cause.CLAIM
    assert found.why.startswith(f"its claim {why}")


def test_a_pod_with_allocated_claims_or_without_any_waits_for_something_else() -> None:
    allocated = {**CLAIM, "status": {"allocation": {"devices": {}}}}
    assert explain_claims(POD, {"made": allocated}, {}, []) is None
    assert explain_claims({"spec": {}}, {}, {}, []) is None

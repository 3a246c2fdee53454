"""The gateway's bootstrap as the chart ships it: from the control plane's own code, with one address left open."""

from __future__ import annotations

import json

from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.snapshot import Endpoint

CONTROL_PLANE = Endpoint("CONTROL-PLANE.invalid.", 8082)
"""The chart puts the Service's name in the place of this one."""
ADMIN = Endpoint("0.0.0.0", 9901)
"""Every address of the pod: the control plane asks from outside, and a network policy keeps everybody else out."""


def text() -> str:
    """`charts/platform/files/bootstrap.json`. Who asks is told on Envoy's command line."""
    document = rest_bootstrap(CONTROL_PLANE, admin=ADMIN, cluster="fairlead")
    return json.dumps({key: value for key, value in document.items() if key != "node"}, indent=1) + "\n"

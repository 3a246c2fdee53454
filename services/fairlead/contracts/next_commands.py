"""The commands that begin a release: each one changes something in the state in which it is named."""

from __future__ import annotations

from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route


def releasing(route: Route, head: Revision | None, version: str) -> str:
    """The command that releases a version of the route; empty if it serves, or is being released, already."""
    ref = route.spec.versions[version].ref(version)
    is_target = route.spec.target.version == version
    if head is None:
        return "" if is_target else f"fairlead release {route.name} {version}"
    is_released = head.state.phase is not Phase.STABLE and head.state.target == ref
    if is_released or head.table.stable == ref:
        return ""
    if head.state.rejection_of(ref) is not None:
        return f"fairlead retry {route.name}" if is_target else f"fairlead release {route.name} {version} --retry"
    return "" if is_target else f"fairlead release {route.name} {version}"


def next_release(route: Route, head: Revision | None) -> str:
    """The command that releases a version that was not rejected; empty if there is none."""
    commands = (releasing(route, head, version) for version in route.spec.versions)
    return next((one for one in commands if one and not one.endswith("--retry") and " retry " not in one), "")

"""Network policies, and whether anything enforces them."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.cli.doctor.finding import Check, Finding, NotChecked, warning
from fairlead.cli.doctor.kinds import DAEMON_SETS, NETWORK_POLICIES
from fairlead.cli.doctor.seen import OURS, Seen
from fairlead.store.kubernetes.kinds import name_of

_GROUPS = frozenset(
    ("crd.projectcalico.org", "cilium.io", "crd.antrea.io", "k8s.ovn.org", "networking.k8s.aws", "networking.gke.io")
)
"""API groups of programs that enforce network policies."""
_AGENTS = ("calico-node", "cilium", "antrea-agent", "ovnkube-node", "kube-router", "weave-net", "canal", "anetd")
_MORE_AGENTS = ("kube-network-policies", "azure-npm", "kindnet", "romana-agent")
"""DaemonSets of such programs."""
HOW_TO_TEST = (
    "test it: kubectl run probe --rm -it --restart=Never --image=curlimages/curl -- "
    "curl -sm 5 http://RELEASE-control-plane.{namespace}:8081/ must end with a timeout (exit code 28); "
    "else install a network plugin that enforces policies (docs/security.md)"
)


def enforced(seen: Seen) -> Iterator[Finding]:
    """Policies, and something that enforces them. The API does not say it, so what is known is searched for."""
    policies = seen.list(NETWORK_POLICIES, OURS)
    if not policies or seen.groups & _GROUPS:
        return
    try:
        agents = {name_of(one) for one in seen.everywhere(DAEMON_SETS)}
    except NotChecked as refused:
        raise NotChecked(f"no API group of a known network plugin, and it {refused.message}") from refused
    if not agents.intersection((*_AGENTS, *_MORE_AGENTS)):
        yield warning(
            f"nothing that is known to enforce network policies runs, and there are {len(policies)} of them",
            "they may have no effect: every pod of the cluster could then reach models and the control plane",
            HOW_TO_TEST.format(namespace=seen.namespace),
        )


CHECKS = (Check("network policies are enforced by a known plugin", enforced),)

"""The certificates of gateways, control plane and models, as cert-manager reports them.

No certificate is read: where cert-manager makes none, its end is not known here. The end of one that clients see is
told by `certificates`, if it may read the Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from fairlead.cli.doctor.certificate_end import SOON, ends_soon
from fairlead.cli.doctor.certificates import reads
from fairlead.cli.doctor.finding import Check, Finding, NotChecked, problem, warning
from fairlead.cli.doctor.kinds import CERTIFICATES
from fairlead.cli.doctor.references import named
from fairlead.cli.doctor.seen import OURS, Seen, condition, moment, of_component, pod_spec, title
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object, name_of

_LATE = timedelta(hours=1)
"""cert-manager renews within minutes of the time that it plans."""
_GROUP = "cert-manager.io"
_WHY = "connections that show it are refused"
_TLS = "tls"
"""The name of the volume with the certificate of a gateway or a control plane."""


def certificates_last(seen: Seen) -> Iterator[Finding]:
    """Each certificate is there, is renewed in time, and has not expired."""
    found = seen.list(CERTIFICATES, OURS) if _GROUP in seen.groups else ()
    for one in found:
        yield from _of(one, seen)
    made = {str(one["spec"]["secretName"]) for one in found}
    if others := {name: user for name, user in _mounted(seen).items() if name not in made}:
        names = ", ".join(f"{name} of {user}" for name, user in sorted(others.items()))
        raise NotChecked(
            f"no Certificate of cert-manager makes the Secret {names}, and no value of a Secret is read: look with "
            f"kubectl get secret {min(others)} --namespace {seen.namespace} --output jsonpath='{{.data.tls\\.crt}}' "
            "| base64 -d | openssl x509 -noout -dates"
        )


def _of(certificate: Object, seen: Seen) -> Iterator[Finding]:
    what, status = _named(certificate), certificate.get("status") or {}
    ask = f"ask cert-manager: kubectl describe certificate {name_of(certificate)} --namespace {seen.namespace}"
    ready, now = condition(certificate, "Ready"), seen.server_time
    ends, renewed = (moment(status[one]) if one in status else None for one in ("notAfter", "renewalTime"))
    if ends is not None and ends <= now:
        yield from _end(certificate, ends, seen, ask)
    elif ready.get("status") != "True":
        said = ready.get("message") or "cert-manager has not looked at it"
        yield problem(f"{what} is not ready: {said}", "pods that need it do not start, or show an old one", ask)
    elif renewed is not None and now - renewed > _LATE and ends is not None:
        if ends - now < SOON:
            yield from _end(certificate, ends, seen, ask)
        else:
            yield warning(f"{what} should have been renewed at {renewed:%Y-%m-%d %H:%M} UTC", f"at its end {_WHY}", ask)


def _end(certificate: Object, ends: datetime, seen: Seen, ask: str) -> Iterator[Finding]:
    if not reads(seen, str(certificate["spec"]["secretName"])):
        yield ends_soon(_named(certificate), ends - seen.server_time, ask)


def _named(certificate: Object) -> str:
    return f"the certificate {name_of(certificate)}"


def _mounted(seen: Seen) -> dict[str, str]:
    """The Secrets with certificates that gateways and control planes mount, and who mounts each."""
    parts = (labels.COMPONENT_GATEWAY, labels.COMPONENT_CONTROL_PLANE)
    users = [one for part in parts for one in of_component(seen.deployments, part)]
    volumes = ((title(one), volume) for one in users for volume in pod_spec(one).get("volumes") or ())
    return {
        name: user
        for user, volume in volumes
        if volume.get("name") == _TLS
        for name in named({"volumes": [volume]}, "Secret")
    }


CHECKS = (Check("the certificates of gateways, control plane and models are renewed in time", certificates_last),)

"""Health checks of the cluster's processes over HTTP."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

from support.cluster.layout import Layout


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether this URL returns 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def api_is_ready(plan: Layout) -> bool:
    """Whether the API server reports that it is ready."""
    context = ssl.create_default_context(cafile=str(plan.certificates / "ca.crt"))
    context.load_cert_chain(plan.certificates / "admin.crt", plan.certificates / "admin.key")
    return answers(f"{plan.api}/readyz", context)

"""Commands that start model services on this machine and ask them without TLS."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead import errors

PREFIX = "FAIRLEAD_SERVING_TLS_"


def refuse_tls(environ: Mapping[str, str], command: str) -> None:
    """Raises Refused if the environment would give the services TLS: they would answer only probes to `command`."""
    if found := sorted(name for name, value in environ.items() if name.startswith(PREFIX) and value):
        raise errors.Refused(
            f"{command} asks its model services without TLS, on loopback, and {', '.join(found)} would turn it on",
            hint=f"Unset it: unset {' '.join(found)}",
        )

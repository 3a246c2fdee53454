"""Where a gateway gets its configuration from."""

from __future__ import annotations

from fairlead.routing.envoy.proto import Json

FILES = {"cds": "cds.json", "lds": "lds.json", "rds": "rds.json"}
"""The file of each kind, in the folder that a gateway watches."""


def from_folder(folder: str, kind: str) -> Json:
    """A watched file. It must exist before Envoy starts, and is replaced by renaming a complete one over it.

    No `watched_directory`: with it every rename in the folder would load all three files again, and a file that was
    rejected once would be rejected, and counted, every time.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "path_config_source": {"path": f"{folder}/{FILES[kind]}"},
    }

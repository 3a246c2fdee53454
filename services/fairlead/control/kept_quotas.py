"""Where the use of quotas is kept: a file on one machine, a ConfigMap in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.quota_use import QuotaUse

QUOTAS = "quotas.json"
"""The name of the file in the state folder."""
ENTRY = "use.json"
"""The entry of the ConfigMap."""
_MERGE = "application/merge-patch+json"


def read_entry(config_map: Mapping[str, Any]) -> QuotaUse:
    """What a ConfigMap keeps. Raises Invalid for anything else."""
    text = (config_map.get("data") or {}).get(ENTRY, "{}")
    return _read(text, f"ConfigMap {config_map['metadata']['name']}", "its `data`")


def _read(text: str, where: str, delete: str) -> QuotaUse:
    try:
        return QuotaUse.model_validate_json(text)
    except ValidationError as error:
        said = f"{where} is not the use of quotas: {error.errors()[0]['msg']}"
        raise errors.Invalid(said, hint=f"delete {delete}: counting begins again") from error


class QuotaFile:
    """`quotas.Keep` on one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> QuotaUse:
        """Raises Invalid and Unavailable."""
        try:
            return _read(self._path.read_text(encoding="utf-8"), str(self._path), "it")
        except FileNotFoundError:
            return QuotaUse()
        except OSError as error:
            raise errors.Unavailable(f"{self._path} cannot be read: {error.strerror}") from error

    def save(self, use: QuotaUse) -> None:
        """Raises Unavailable."""
        draft = self._path.with_name(f".{self._path.name}")
        try:
            draft.write_text(use.model_dump_json(by_alias=True), encoding="utf-8")
            draft.rename(self._path)
        except OSError as error:
            raise errors.Unavailable(f"{self._path} cannot be written: {error.strerror}") from error


class ConfigMaps(Protocol):
    """The part of the API client that is used; `store.kubernetes.api.Api` implements it."""

    def request(  # noqa: D102
        self, method: str, path: str, *, body: dict[str, Any] | None = None, content: str = "application/json"
    ) -> dict[str, Any]: ...


class QuotaConfigMap:
    """`quotas.Keep` in a cluster. The chart creates it, without data, so that Helm never writes any.

    Only the leader writes, and a replica that believes so wrongly gets Conflict.
    """

    def __init__(self, api: ConfigMaps, namespace: str, name: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._seen = ""

    def load(self) -> QuotaUse:
        """Raises NotFound, Invalid and Unavailable."""
        found = self._api.request("GET", self._path)
        self._seen = str(found["metadata"]["resourceVersion"])
        return read_entry(found)

    def save(self, use: QuotaUse) -> None:
        """Raises Conflict if another replica has saved since, Refused and Unavailable."""
        body = {
            "metadata": {"resourceVersion": self._seen},
            "data": {ENTRY: use.model_dump_json(by_alias=True)},
        }
        found = self._api.request("PATCH", self._path, body=body, content=_MERGE)
        self._seen = str(found["metadata"]["resourceVersion"])

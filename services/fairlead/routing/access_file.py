"""Reads who may call from a file, and again when the file changes: on one machine a file, in a pod a mounted Secret."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from fairlead import errors
from fairlead.contracts.access import Access
from fairlead.contracts.parsing import parse_yaml

_LOG = logging.getLogger("fairlead.control")
_HINT = "docs/access.md describes this file"


def read_access(path: Path, *, only_owner: bool) -> Access:
    """Read and check the file. Raises Invalid, which names the field; with `only_owner` also if others may open it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise errors.Invalid(f"{path}, which says who may call, cannot be read: {why}", hint=_HINT) from error
    if only_owner and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise errors.Invalid(
            f"{path}: other users may open it, and it says who may call", hint=f"take it from them: chmod 600 {path}"
        )
    if not text.strip():  # a shell truncates a file before it writes it: that is no wish to lock everybody out
        raise errors.Invalid(f"{path}, which says who may call, is empty", hint="for nobody, write: clients: {}")
    access = parse_yaml(Access, text, str(path), hint=_HINT)
    if only_owner:  # the gateway runs here: without the file it would refuse everything that the control plane sends
        for place, issuer in enumerate(access.tokens):
            if issuer.ca_file is not None and not Path(issuer.ca_file).is_file():
                raise errors.Invalid(f"{path}: tokens.{place}.caFile: there is no {issuer.ca_file}", hint=_HINT)
    return access


class AccessFile:
    """The document as it is now. A file that becomes wrong changes nothing, and is complained about once."""

    def __init__(self, path: Path, *, only_owner: bool) -> None:
        """Raises Invalid if the file cannot be used: a gateway must not start without knowing its clients."""
        self._path, self._only_owner = path, only_owner
        self._seen = self._signature()
        self._access = read_access(path, only_owner=only_owner)

    def current(self) -> Access:
        """The same object as long as the file is unchanged. Costs one `stat`. Never raises."""
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            try:
                self._access = read_access(self._path, only_owner=self._only_owner)
            except errors.Invalid as error:
                _LOG.error("%s; clients, keys and limits stay as they were", error.message)
            else:
                _LOG.info("%s was read again: %d clients", self._path, len(self._access.clients))
        return self._access

    def _signature(self) -> object:
        try:
            found = self._path.stat()
        except OSError as error:
            return error.errno
        return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode

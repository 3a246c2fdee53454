"""The certificate of the gateway's entry, on one machine: copies of the user's files, where the gateway watches them.

A user replaces files one after the other, in any way. The gateway gets all of them at once, after they were checked:
files that cannot be used, also for a moment, change nothing. In a cluster the gateway reads its Secret itself.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fairlead import errors
from fairlead.contracts.platform import EntryTlsSettings
from fairlead.routing.envoy.tls import entry_files
from fairlead.tls import Files, Watch, check

FOLDER = "entry"
"""The folder of the copies, in the one that the gateway watches."""
_NAMES = {"certificate": "tls.crt", "key": "tls.key", "authorities": "ca.crt"}
_LINK = "..data"


class EntryCertificates:
    """Not thread-safe."""

    def __init__(
        self,
        settings: EntryTlsSettings,
        gateway: Path,
        log: logging.Logger,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`gateway` is the folder that the gateway watches. Raises Invalid if the files cannot be used.

        If an earlier process has copied usable files, those stay, and the log says so: a gateway may be serving.
        """
        authorities = Path(settings.client_ca) if settings.client_ca else None
        self._files = Files(Path(settings.certificate), Path(settings.key), authorities)
        self._folder = gateway / FOLDER
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number = max((int(one.name[2:]) for one in self._folder.glob("..[0-9]*")), default=0)
        self.secrets = str(self._folder)
        """The folder with the files that tell the gateway where its certificate is."""
        for name, content in entry_files(self.secrets, self.secrets if authorities else "").items():
            (self._folder / name).write_text(json.dumps(content))
        what = "the certificate of the entry"
        self._watch = Watch(self._files, self._copy, log, what=what, monotonic=monotonic)
        try:
            self._copy()
        except errors.Invalid as problem:
            if not self._has_usable_copies():
                raise
            self._watch.complain(problem)

    def look(self) -> None:
        """Copy the files if they changed and can be used. Costs a `stat` of each; never raises."""
        self._watch.look()

    def _has_usable_copies(self) -> bool:
        try:
            check(self._own(self._folder), server=True)
        except errors.Invalid:
            return False
        return True

    def _own(self, folder: Path) -> Files:
        own = Files(*(folder / name for name in _NAMES.values()))
        return own if self._files.authorities is not None else replace(own, authorities=None)

    def _copy(self) -> None:
        """Copy the files, if they can be used. Raises Invalid."""
        check(self._files, server=True)
        try:
            self._replace()
        except OSError as error:
            raise errors.Invalid(f"the certificate of the entry cannot be copied: {error.strerror}") from error

    def _replace(self) -> None:
        """Replace all copies at once, by renaming a link: what is read is checked, and what is checked is used."""
        self._number += 1
        made = self._folder / f"..{self._number}"
        made.mkdir(mode=0o700)
        try:
            for field, name in _NAMES.items():
                if (source := getattr(self._files, field)) is not None:
                    shutil.copyfile(source, made / name)
            check(self._own(made), server=True)  # they may have changed between the two
        except BaseException:
            shutil.rmtree(made)
            raise
        self._link(self._folder / _LINK, made.name)
        for name in _NAMES.values():
            self._link(self._folder / name, f"{_LINK}/{name}")
        for old in self._folder.glob("..[0-9]*"):
            if old != made:
                shutil.rmtree(old)

    @staticmethod
    def _link(link: Path, target: str) -> None:
        if link.is_symlink() and link.readlink() == Path(target):
            return
        draft = link.with_name(f"{link.name}_tmp")
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.rename(link)


def look_at(certificates: EntryCertificates | None) -> Callable[[float], None]:
    """What to do each time that the engine ticked; nothing where the entry has no TLS."""
    return lambda _: certificates.look() if certificates is not None else None

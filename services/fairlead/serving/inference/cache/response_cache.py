"""The response cache of one service: decided at the start, and in front of the batcher from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead.serving.inference.batch import Batch, Compute
from fairlead.serving.inference.batching import Batcher
from fairlead.serving.inference.cache import verdict
from fairlead.serving.inference.cache.front import Front
from fairlead.serving.inference.cache.keys import Keys
from fairlead.serving.inference.cache.store import Store
from fairlead.serving.inference.contract import Contract
from fairlead.serving.inference.process.codec import Codec
from fairlead.serving.inference.served import Served
from fairlead.serving.observe.metrics import Metrics
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)


class ResponseCache:
    """Answers to requests that were asked before, where the manifest and the settings allow it."""

    def __init__(
        self, served: Served, terms: Contract, settings: Settings, meter: Metrics, clock: Callable[[], float]
    ) -> None:
        self._served, self._terms, self._settings, self._meter, self._clock = served, terms, settings, meter, clock
        manifest = served.manifest
        self._verdict = verdict.wanted(settings.cache_bytes, manifest)
        artifact = manifest.artifact.sha256 if manifest.artifact else ""
        identity = (manifest.name, manifest.version, artifact, settings.folder_sha256)
        self.keys: Keys | None = Keys(*identity) if self._verdict.allowed else None
        """Makes the keys; None if there will be no cache."""

    def ask_twice(self, compute: Compute) -> None:
        """Ask the golden rows twice more: a model that answers differently gets no cache. Raises what it raises."""
        if self._verdict.allowed and self._served.golden:
            rows = [row.input for row in self._served.golden]
            self._verdict = verdict.shown(compute, self._terms, rows, self._served.manifest)
            if not self._verdict.allowed:
                self.keys = None

    def front_of(self, batcher: Batcher, keep: Callable[[Batch], None] | None) -> Front | None:
        """What stands in front of the batcher; None without a cache. Tells the log and the metrics what was decided."""
        self._tell()
        if self.keys is None or not self._verdict.allowed:
            return None
        written = Codec(f"{self._served.package}:cache", self._terms.answer_type)
        store = Store(self._settings.cache_bytes, self._settings.cache_ttl_s, written, self._clock)
        self._meter.cache_bytes.set_function(lambda: store.bytes)
        return Front(
            batcher,
            self.keys,
            store,
            encodable=self._terms.encode_many,
            loop=asyncio.get_running_loop(),
            clock=self._clock,
            meter=self._meter,
            keep=keep,
        )

    def _tell(self) -> None:
        found = self._verdict
        self._meter.cache_decided(found.allowed, found.reason)
        if found is not verdict.OFF:
            logger.log(
                logging.INFO if found.allowed else logging.WARNING,
                "the response cache is on" if found.allowed else "the response cache is off",
                extra={"reason": found.reason, "detail": found.detail, "bytes": self._settings.cache_bytes},
            )

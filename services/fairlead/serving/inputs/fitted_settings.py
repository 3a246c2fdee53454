"""The settings of a service whose model takes images: bodies are larger, and rows need much more memory."""

from __future__ import annotations

from fairlead.contracts.images import frame
from fairlead.contracts.manifest import Manifest
from fairlead.serving.settings import Settings

_BASE64 = 1.5
"""How much longer the body of one image may be than its file: base64 with line breaks, and JSON around it."""
_AROUND = 4096


def fitted(settings: Settings, manifest: Manifest) -> Settings:
    """The settings, with the largest body and the most rows of a request fitted to the model's images.

    A body may be as large as one image of each input, if nobody has set a limit. A request has no more images than the
    queue has room for once they are pixels.
    """
    images = [(one.image, frame(one.shape)) for one in manifest.inputs if one.image is not None]
    if not images:
        return settings
    needed = int(sum(spec.max_bytes for spec, _ in images) * _BASE64) + _AROUND
    row = sum(size.height * size.width * size.channels for _, size in images)
    changes: dict[str, int] = {"max_request_rows": max(1, min(settings.max_request_rows, settings.queue_bytes // row))}
    if "max_body_bytes" not in settings.model_fields_set:
        changes["max_body_bytes"] = min(max(settings.max_body_bytes, needed), settings.queue_bytes)
    return settings.model_copy(update=changes)

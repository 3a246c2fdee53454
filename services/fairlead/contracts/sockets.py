"""The Unix sockets in the state folder, and the addresses at which processes find them.

Imports no pydantic: the action client uses it, and an on-call engineer's rollback must not wait for imports.
"""

from __future__ import annotations

import os
from pathlib import Path

from fairlead import errors

ACTIONS = "control.sock"
"""The file name of the socket that receives actions, beside the ledger."""
SIGN_IN = "sign-in"
"""The request, beside the types of actions, for a code that signs a browser in to the console."""
ADMIN = "gateway.sock"
"""The file name of Envoy's admin page, beside it."""
MAX_PATH_BYTES = 100
"""The length of a socket's address that every supported system accepts (their limits are 104 to 108)."""


def address(path: Path) -> str:
    """The shorter of the absolute and the relative path. Raises Invalid if both are too long for an address."""
    found = min(str(path.absolute()), os.path.relpath(path), key=len)
    if len(found.encode()) > MAX_PATH_BYTES:
        raise errors.Invalid(
            f"the path {path} is too long for a Unix socket, which allows {MAX_PATH_BYTES} bytes",
            hint="start the platform in the folder that contains its state folder",
        )
    return found

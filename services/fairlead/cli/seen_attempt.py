"""What the person who asks for an action has seen of the route, read from the ledger of one machine.

It is read here and not where the request arrives: a control plane that hangs may receive it after a later release. The
module reads two rows with SQL, because the contracts and the store take longer to import than everything else.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from fairlead.contracts.bound_action import bound

WAIT_S = 1.0
_NEWEST = "SELECT document FROM revisions WHERE route = ? ORDER BY seq DESC LIMIT 1"
_ROUTE = "SELECT document FROM routes WHERE name = ?"


def seen_attempt(ledger: Path, model: str, verb: str) -> dict[str, int]:
    """The fields that bind an action to what is seen now; empty where nothing serves yet or it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(ledger))}?mode=ro", uri=True, timeout=WAIT_S)) as connection:
            head, route = (connection.execute(query, (model,)).fetchone() for query in (_NEWEST, _ROUTE))
        head, route = json.loads(head[0]), json.loads(route[0])
        if head["cause"] == "removed":
            return {}
        return bound(verb, head["state"]["attempt"], head["state"]["step"], head["generation"], route["generation"])
    except (sqlite3.Error, ValueError, LookupError, TypeError):
        return {}  # the control plane reads it, and says what is wrong

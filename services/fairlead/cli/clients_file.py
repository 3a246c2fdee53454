"""The file that says who may call, on one machine: what is wrong with it, and what it says of a key.

The control plane goes on with the clients that it has read last, so without this only its log would say what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairlead import errors
from fairlead.contracts.access import key_hash
from fairlead.contracts.parsing import suggestion
from fairlead.routing.access_file import read_access


def answer_to(key: str | None, model: str, file: Path) -> str:
    """What the gateway says to a request for this model with this key, as far as the key and the models decide it.

    Raises Invalid if the file cannot be used.
    """
    if key is None:
        return "401 no-credential: this gateway asks for a key; --key or FAIRLEAD_KEY says which one is sent"
    clients = read_access(file, only_owner=True).clients
    name = next((name for name, client in clients.items() if key_hash(key) in client.keys), None)
    if name is None:
        return "401 unknown-key: it is the key of no client"
    allowed = clients[name].models
    if allowed is not None and model not in allowed:
        return f"403 other-model: it is a key of {name}, which may call {', '.join(allowed) or 'no model'}"
    return f"it is a key of {name}, which may call {model}; limits are not looked at"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One fault. `keeps` says whether it keeps a changed file from being used."""

    what: str
    why: str
    do: str
    keeps: bool = False


def complaints(file: Path, models: Collection[str]) -> Iterator[Complaint]:
    """The faults of the file. A client may name a model that is deployed later, so a strange name is only a risk."""
    try:
        access = read_access(file, only_owner=True)
    except errors.Invalid as error:
        why = "clients, keys and limits stay as they were, and `fairlead up` would not start with it"
        yield Complaint(error.message, why, error.hint or "", keeps=True)
        return
    for name, client in access.clients.items():
        for field, named in (("models", client.models or ()), ("modelLimits", client.model_limits)):
            for model in (one for one in named if one not in models):
                yield Complaint(
                    f"{file}: clients.{name}.{field}: there is no model {model!r}{suggestion(model, list(models))}",
                    "until there is one, this allows and limits nothing",
                    "correct the name, or deploy the model",
                )

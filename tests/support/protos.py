"""Checks our JSON against Envoy's own message definitions: an unknown field or a wrong type is an error."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from google.protobuf import json_format, symbol_database  # type: ignore[import-untyped]


def parse(resource: Mapping[str, Any], type_name: str | None = None) -> None:
    """Parse a resource as the message that "@type" or `type_name` names. Raises json_format.ParseError."""
    for named in {*_types(resource), *([type_name] if type_name else [])}:
        _register(named)
    name = type_name or resource["@type"].rpartition("/")[2]
    message = symbol_database.Default().GetSymbol(name)()
    plain = resource if type_name else {key: value for key, value in resource.items() if key != "@type"}
    json_format.ParseDict(plain, message)


def _types(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("@type"), str):
            yield value["@type"].rpartition("/")[2]
        for inner in value.values():
            yield from _types(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _types(inner)


@cache
def _register(type_name: str) -> None:
    """Register a message type by importing every module of its proto package: one of them defines it."""
    package = importlib.import_module(type_name.rpartition(".")[0])
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package.__name__}.{module.name}")

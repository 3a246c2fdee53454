"""Fairlead: guarded rollouts for ordinary models.

The names in `__all__` are the whole public Python API. Importing them imports pydantic but no web framework, so a
training script or a notebook can import a model class cheaply.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from fairlead.model import Model as Model

__version__ = "0.1.0"
__all__ = ["Model", "__version__"]


def __getattr__(name: str) -> _typing.Any:
    # Imported on first use (PEP 562): every command imports this package, and few of them need a model class.
    if name == "Model":
        return _importlib.import_module("fairlead.model").Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Which method of a model class answers a batch, and whether the service can call it.

The service checks this before it loads anything, and `fairlead check` and `write_folder` call the same function.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from fairlead import errors
from fairlead.model import Model

ANSWERING = {"predict_tensors": "tensors", "predict_columns": "batch", "predict_frame": "frame", "predict": "rows"}
"""The methods that answer a batch, each with the name of its argument. The first one that a class defines is called."""


def answering(model_class: type[Model[Any, Any]]) -> str:
    """The name of the method that answers batches: the first one that the class or a base of it defines."""
    return next(iter(_defined(model_class)), "predict")


def explains(model_class: type[Model[Any, Any]]) -> bool:
    """Whether the class or a base of it defines `explain`."""
    return model_class.explain is not Model.explain


def check(model_class: type[Model[Any, Any]]) -> None:
    """Raise Invalid unless the class defines one method that answers a batch, and the service can call its methods.

    Its bases may define others, as long as the service calls that of the class.
    """
    defined = _defined(model_class)
    if not defined:
        raise errors.Invalid(
            f"{model_class.__name__} defines none of predict, predict_columns, predict_frame and predict_tensors",
            hint=_misspelt(model_class) or "Define `predict(self, rows)`, which returns one answer per row.",
        )
    called = next(iter(defined))
    if any(defined[name] <= defined[called] for name in defined if name != called):
        *others, last = defined
        message = (
            f"{model_class.__name__} defines {', '.join(others)} and {last}, and the service would call only {called}"
        )
        raise errors.Invalid(message, hint=f"Keep {called}, or the one that you mean instead.")
    for name in defined:
        _check_method(model_class, name, ANSWERING[name])
    _check_method(model_class, "load", "artifact")
    _check_method(model_class, "explain", "rows")


def _defined(model_class: type[Model[Any, Any]]) -> dict[str, int]:
    """The methods that answer a batch, each with the place in the class's MRO where it is defined: 0 is the class."""
    bases = model_class.__mro__[: model_class.__mro__.index(Model)]
    places = {name: [place for place, base in enumerate(bases) if name in vars(base)] for name in ANSWERING}
    return {name: found[0] for name, found in places.items() if found}


def _misspelt(model_class: type[Model[Any, Any]]) -> str:
    own = [name for name in dir(model_class) if name not in dir(Model) and callable(getattr(model_class, name))]
    for name in ANSWERING:
        if found := difflib.get_close_matches(name, own, n=1, cutoff=0.75):
            return f"Rename {found[0]} to {name}."
    return ""


def _check_method(model_class: type[Model[Any, Any]], name: str, argument: str) -> None:
    where, found = f"{model_class.__name__}.{name}", inspect.getattr_static(model_class, name)
    is_static = isinstance(found, staticmethod)
    function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        message = f"{where} is async, and the service does not await it: it calls the model on a thread"
        raise errors.Invalid(message, hint=f"Write `def {name}`.")
    if inspect.isgeneratorfunction(function) and name != "load":
        raise errors.Invalid(f"{where} is a generator: it has a `yield`", hint="Return a list with one answer per row.")
    hint = f"Write `def {name}(self, {argument})`."
    if not callable(function) and not hasattr(function, "__get__"):
        raise errors.Invalid(f"{where} is a {type(function).__name__}, not a method", hint=hint)
    if not inspect.isfunction(function):
        return  # a descriptor, or an object that can be called: only a call shows what it takes
    signature = inspect.signature(function)
    try:
        signature.bind(*([None] if is_static else [None, None]))
    except TypeError as cause:
        taken = ", ".join(signature.parameters)
        message = f"{where} cannot be called as {name}({argument}): its parameters are ({taken})"
        raise errors.Invalid(message, hint=hint) from cause

"""Where a model runs: on the threads of the service (`InThreads`), or in processes of its own (`process.processes`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fairlead.model import Model
from fairlead.serving.formats import methods
from fairlead.serving.inference import batching, contract, model_calls, warmup

WarmUp = Callable[[batching.Compute], warmup.Batchable]
"""Answers the golden rows with the function that calls the model, once it is loaded. Raises what makes it unusable."""


class Runner(Protocol):
    """Loads the model and calls it. The methods are called on worker threads, except `close`."""

    limits_calls: bool
    """Whether `compute` ends a call at its time limit."""

    @property
    def compute(self) -> batching.Compute:
        """The function that returns the model's answers to rows. Call it after `start`."""

    @property
    def explain(self) -> batching.Compute | None:
        """The function that explains requests; None if the model does not. Ask for it after `start`."""

    def start(self, warm_up: WarmUp) -> warmup.Batchable:
        """Load the model and warm it up. May raise any exception."""

    def replace(self) -> None:
        """Start what the last call ended. May raise any exception."""

    def close(self) -> None:
        """End what `start` has started."""


class InThreads:
    """Calls the model on the thread that asks. Nothing can end such a call."""

    limits_calls = False
    compute: batching.Compute
    explain: batching.Compute | None = None

    def __init__(self, start: Callable[[], Model[Any, Any]], terms: contract.Contract) -> None:
        self._start = start
        self._terms = terms

    def start(self, warm_up: WarmUp) -> warmup.Batchable:
        """Load the model on this thread and warm it up."""
        model = self._start()
        self.compute = model_calls.compute(model, self._terms)
        if methods.explains(type(model)):
            self.explain = model_calls.explain(model)
        return warm_up(self.compute)

    def replace(self) -> None:
        """Nothing has ended."""

    def close(self) -> None:
        """Nothing to end: the model ends with the service."""

"""Fairlead: guarded rollouts for ordinary models.

The names below are the only promised ones. Importing them pulls in no web framework, so a training script
or a notebook may import a model class for the price of pydantic.
"""

from fairlead.model import Model

__version__ = "0.1.0"
__all__ = ["Model", "__version__"]

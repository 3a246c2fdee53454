"""Format `skops`: estimators of scikit-learn in a file that is data. Only types that are known, or named, are built.

skops lists the types of a file before it builds any. Those that it does not know to be data are refused, unless
`trusted` of the manifest names them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats import base, pickle_libraries, skops_file
from fairlead.serving.formats.archives import Broken

NAME = "skops"
_AGAIN = "Copy the whole file again, or save it again: skops.io.dump(estimator, PATH)."
_UNCHECKED = frozenset({"sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})
"""Types that run no code, and whose content scikit-learn does not check."""


class Skops:
    """`format: skops`: a file of `skops.io.dump`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = tuple(trusted)

    def trusting(self, names: Iterable[str]) -> Skops:
        """The same format, which also builds objects of these types."""
        return Skops(names)

    def read(self, artifact: Path) -> Any:
        """Build the object. Raises Invalid if the file is damaged, and Refused if it has a type that is not trusted."""
        io = base.library_of(NAME, "skops.io")
        try:
            schema = skops_file.read(artifact)
        except Broken as cause:
            raise errors.Invalid(f"format '{NAME}': {artifact.name} {cause}", hint=_AGAIN) from None
        try:
            unknown = set(io.get_untrusted_types(file=artifact)) - set(self._trusted)
            if unknown:
                raise _not_trusted(artifact.name, unknown)
            found = io.load(artifact, trusted=self._trusted)
        except errors.FairleadError:
            raise
        except Exception as cause:  # it has no class for its errors
            raise errors.Invalid(
                f"format '{NAME}': skops cannot read {artifact.name}: {' '.join(str(cause).split())[:300]}", hint=_AGAIN
            ) from None
        pickle_libraries.note(skops_file.modules(schema))
        return found

    def write(self, value: Any, artifact: Path) -> None:
        """Write the object, or copy a file. The same object gives the same bytes."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        io = base.library_of(NAME, "skops.io")
        try:
            data = io.dumps(value)
        except Exception as cause:  # of the classes of the object, too
            raise errors.Invalid(
                f"format '{NAME}': a {type(value).__name__} cannot be written: {' '.join(str(cause).split())[:300]}",
                hint="Write it with `format: sklearn`, which holds any estimator, as a pickle.",
            ) from cause
        artifact.write_bytes(skops_file.canonical(data))


def _not_trusted(name: str, unknown: set[str]) -> errors.Refused:
    listed = ", ".join(sorted(unknown))
    why = (
        " scikit-learn does not check the content of such a tree: a hostile one can end the process."
        if unknown <= _UNCHECKED
        else ""
    )
    return errors.Refused(
        f"format '{NAME}': {name} holds objects of types that skops does not trust: {listed}",
        hint=f"If you trust who wrote the file, name them in the manifest: `trusted: [{listed}]`.{why}",
    )

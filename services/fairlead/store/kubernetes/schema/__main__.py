"""`python -m fairlead.store.kubernetes.schema DIR`: writes one file per definition. `ci/crds` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.store.kubernetes.schema.write import files


def main() -> None:
    """Write the files into the folder named by the first argument."""
    folder = Path(sys.argv[1])
    for name, text in files().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()

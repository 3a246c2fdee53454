"""The process that prints the JSON schemas of a folder's rows and answers: reading them runs the model's code."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from pydantic.errors import PydanticUserError

from fairlead import errors
from fairlead.serving.formats import folder


def main() -> None:
    """Print the schemas of the folder that the first argument names; or why they cannot be read, with exit code 1."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what the model's code prints must not mix with the schemas
        try:
            found = folder.load_folder(Path(sys.argv[1]))
            schemas = {"row": found.row_type.model_json_schema(), "answer": found.answer_type.model_json_schema()}
        except (errors.FairleadError, PydanticUserError) as error:
            hint = error.hint if isinstance(error, errors.FairleadError) else None
            print(json.dumps({"error": getattr(error, "message", str(error)), "hint": hint}), file=out, flush=True)
            sys.exit(1)
        print(json.dumps(schemas, default=str), file=out, flush=True)


if __name__ == "__main__":
    main()

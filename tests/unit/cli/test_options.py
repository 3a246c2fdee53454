"""Commands that name their platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cli.options import PlatformLocation

SAID = "`fairlead promote iris`, or `fairlead rollback iris --even-if-down`; read `fairlead.yaml`"


@pytest.mark.parametrize(
    ("location", "options"),
    [
        (PlatformLocation(), ""),
        (PlatformLocation(Path("/srv/.fairlead")), " --state /srv/.fairlead"),
        (PlatformLocation(namespace="prod"), " --namespace prod"),
    ],
    ids=["here", "another folder", "a cluster"],
)
def test_commands_in_a_sentence_of_the_engine_get_the_options_that_name_the_platform(
    location: PlatformLocation, options: str
) -> None:
    assert location.in_text(SAID) == (
        f"`fairlead promote iris{options}`, or `fairlead rollback iris --even-if-down{options}`; read `fairlead.yaml`"
    )

"""A made-up row that never gets an answer does not keep a check from its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.serving.check.findings import is_fit, not_proved
from fairlead.serving.check.own_process import check_in_own_process
from fairlead.serving.check.printed import Printed
from support import folders

ONLY_ONE = """
import re
import time
from pydantic import BaseModel
import fairlead

class Order(BaseModel):
    number: int

class Done(BaseModel):
    number: int

class Waits(fairlead.Model[Order, Done]):
    def predict(self, rows: list[Order]) -> list[Done]:
        while any(row.number != 4711 for row in rows):
            {waits}
        return [Done(number=row.number) for row in rows]
"""
WAITS = {"sleeps": "time.sleep(0.01)", "holds the interpreter": "re.match('(a+)+$', 'a' * 60 + '!')"}


@pytest.mark.parametrize("golden", [0, 1])
@pytest.mark.parametrize("waits", WAITS.values(), ids=WAITS)
def test_what_a_made_up_row_that_does_not_return_would_have_shown_is_not_proved(
    tmp_path: Path, waits: str, golden: int
) -> None:
    rows = [{"input": {"number": 4711}, "expected": {"number": 4711}}] * golden
    folder = folders.make(tmp_path / "m", code=ONLY_ONE.format(waits=waits), entry="model:Waits", golden=rows)
    findings = check_in_own_process(folder, Printed(), made_up_s=0.5)
    assert is_fit(findings), findings
    wanted = ["batching"] if golden else ["golden rows", "batching", "protocols"]
    assert not_proved(findings) == wanted
    (batching,) = (one for one in findings if one.check == "batching")
    assert "made-up row 1 has not returned within 0.5 s" in batching.message
    assert "golden rows" in batching.hint

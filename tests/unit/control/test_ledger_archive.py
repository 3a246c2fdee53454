import io
import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from fairlead import logs
from fairlead.contracts.base import canonical
from fairlead.control import ledger_archive


def logged(document: str) -> str:
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(logs.JsonLines())
    ledger_archive.logger.addHandler(handler)
    ledger_archive.logger.setLevel("INFO")
    try:
        ledger_archive.write(document)
    finally:
        ledger_archive.logger.removeHandler(handler)
        ledger_archive.logger.setLevel("NOTSET")
    return stream.getvalue()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.dictionaries(
    st.text(), st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
)


@given(DOCUMENTS)
def test_a_revision_is_one_log_line_and_its_canonical_bytes_can_be_restored(document: dict[str, object]) -> None:
    text = logged(canonical(document))
    line = json.loads(text)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert (line["message"], canonical(line["revision"])) == ("revision appended", canonical(document))

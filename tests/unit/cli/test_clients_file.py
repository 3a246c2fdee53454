"""What the file of clients says of a key, as `fairlead explain --key` tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cli.clients_file import answer_to
from fairlead.contracts.access import key_hash


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "clients.yaml"
    file.touch(mode=0o600)
    shop, staff = key_hash("of the shop"), key_hash("of the staff")
    file.write_text(f'clients: {{shop: {{keys: ["{shop}"], models: [iris]}}, staff: {{keys: ["{staff}"]}}}}')
    return file


@pytest.mark.parametrize(
    ("key", "model", "said"),
    [
        (None, "iris", "401 no-credential: "),
        ("of nobody", "iris", "401 unknown-key: "),
        ("of the shop", "fraud", "403 other-model: it is a key of shop, which may call iris"),
        ("of the shop", "iris", "it is a key of shop, which may call iris; "),
        ("of the staff", "fraud", "it is a key of staff, which may call fraud; "),
    ],
)
def test_a_key_is_answered_as_the_gateway_does(file: Path, key: str | None, model: str, said: str) -> None:
    assert answer_to(key, model, file).startswith(said)

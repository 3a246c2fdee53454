from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts import listing

NAMES = st.text(alphabet="abcXYZ0._-", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_a_file_has_the_same_digest_for_any_chunk_size(data: bytes, size: int) -> None:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert listing.of_chunks(chunks) == hashlib.sha256(data).hexdigest()


@given(st.dictionaries(NAMES, st.binary(max_size=8), min_size=2, max_size=5), st.randoms())
def test_a_folder_has_the_same_digest_in_any_order_of_reading(files: dict[str, bytes], random: object) -> None:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    shuffled = list(digests.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert listing.of_tree(dict(shuffled)) == listing.of_tree(digests)


def test_a_renamed_file_changes_the_digest_of_its_folder() -> None:
    same = hashlib.sha256(b"").hexdigest()
    assert listing.of_tree({"a": same}) != listing.of_tree({"b": same})


def test_a_folder_digest_equals_the_output_of_the_documented_shell_line(tmp_path: Path) -> None:
    files = {"b.txt": b"two", "B.txt": b"capital", "nested/a b.txt": b"one", "nested/é.txt": b""}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    line = next(line.strip() for line in (listing.__doc__ or "").splitlines() if "sha256sum | sha256sum" in line)
    shell = line.replace("cd artifact", f"cd '{tmp_path}'")
    printed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.split()[0]
    assert listing.of_tree({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}) == printed

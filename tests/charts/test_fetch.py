"""The script that fetches a model folder, run as in a pod, against a real server of files."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from charts.scripts import run
from support.background import serve_in_background
from support.helm import CHARTS

FETCH = CHARTS / "model/files/fetch.py"


def packed(files: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return file.getvalue()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server that serves a folder: its URL and the folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    with serve_in_background(server):
        yield f"http://127.0.0.1:{server.server_port}", folder


LIKE_DEBIAN_12 = """import tarfile
del tarfile.data_filter
def without_filter(archive, path, members=None):
    raise AssertionError("without its filter it would write anywhere")
tarfile.TarFile.extractall = without_filter
"""
"""Python 3.11.2 has no filters for archives."""


def fetch(tmp_path: Path, source: str, content: bytes, before: str = "") -> subprocess.CompletedProcess[str]:
    return run(
        FETCH,
        before=before,
        FAIRLEAD_SOURCE=source,
        FAIRLEAD_ARCHIVE=str(tmp_path / "archive"),
        FAIRLEAD_FOLDER=str(tmp_path / "model"),
        FAIRLEAD_FAILURE_FILE=str(tmp_path / "termination-log"),
        FAIRLEAD_SHA256=hashlib.sha256(content).hexdigest(),
    )


@pytest.mark.parametrize("before", ["", LIKE_DEBIAN_12], ids=["newest", "Debian 12"])
@pytest.mark.parametrize("top", ["", "iris-1.2.0/"])
def test_an_archive_becomes_a_model_folder(tmp_path: Path, site: tuple[str, Path], top: str, before: str) -> None:
    url, folder = site
    content = packed({f"{top}fairlead.yaml": "name: iris\n", f"{top}artifact/model.joblib": "x"})
    (folder / "iris.tar.gz").write_bytes(content)
    for _ in range(2):  # a restarted container finds the files of its first run
        done = fetch(tmp_path, f"{url}/iris.tar.gz", content, before)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "model/fairlead.yaml").read_text() == "name: iris\n"
        assert (tmp_path / "model/artifact/model.joblib").read_text() == "x"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "site"]


def test_the_archive_that_a_fetcher_wrote_is_verified_too(tmp_path: Path) -> None:
    content = packed({"fairlead.yaml": "name: iris\n"})
    missing = fetch(tmp_path, "", content)
    assert "the fetcher must write the archive to $FAIRLEAD_ARCHIVE" in missing.stderr
    (tmp_path / "archive").write_bytes(content)
    assert fetch(tmp_path, "", content).returncode == 0
    (tmp_path / "archive").write_bytes(content + b"x")
    assert "it is not the archive that was released" in fetch(tmp_path, "", content).stderr


def test_an_archive_that_is_not_there_or_another_one_leaves_its_sentence_with_the_pod(
    tmp_path: Path, site: tuple[str, Path]
) -> None:
    """Before, the sentence was in the container's log alone, and the route's status had only the exit code."""
    url, folder = site
    content = packed({"fairlead.yaml": "name: iris\n"})
    (folder / "iris.tar.gz").write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()
    for name, why in [
        ("none", "could not be fetched: HTTP Error 404: File not found"),
        ("iris", f"has the SHA-256 {found}"),
    ]:
        done = fetch(tmp_path, f"{url}/{name}.tar.gz?signature=0a1b", content)
        said = (tmp_path / "termination-log").read_text()
        assert (done.returncode, done.stderr.strip()) == (1, said)
        assert said.startswith(f"{url}/{name}.tar.gz {why}"), "and not the signature of the address"


@pytest.mark.parametrize(
    ("files", "complaint", "before"),
    [
        ({"readme.txt": "hello"}, "holds no fairlead.yaml", ""),
        ({"../outside": "x", "fairlead.yaml": ""}, "OutsideDestinationError", ""),
        ({"../outside": "x", "fairlead.yaml": ""}, "'../outside' is outside the folder", LIKE_DEBIAN_12),
        ({"/tmp/../outside": "x", "fairlead.yaml": ""}, "'/tmp/../outside' is outside the folder", LIKE_DEBIAN_12),
    ],
)
def test_a_bad_archive_leaves_no_folder(tmp_path: Path, files: dict[str, str], complaint: str, before: str) -> None:
    content = packed(files)
    (tmp_path / "archive").write_bytes(content)
    done = fetch(tmp_path, "", content, before)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "termination-log").read_text() == done.stderr.strip()
    assert not (tmp_path / "model").exists()
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_without_filters_an_archive_holds_files_and_folders_alone(tmp_path: Path, kind: bytes) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = kind, "fairlead.yaml"
        archive.addfile(entry)
    (tmp_path / "archive").write_bytes(file.getvalue())
    done = fetch(tmp_path, "", file.getvalue(), LIKE_DEBIAN_12)
    assert "'link' is neither a file nor a folder" in done.stderr
    assert not (tmp_path / "model").exists()


# fetch.py with a cache


class Site(ThreadingHTTPServer):
    """A web server with one archive, which counts how often it is asked for it."""

    def __init__(self, content: bytes, pause_s: float = 0) -> None:
        self.asked = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:100])
                time.sleep(pause_s)  # a download takes time, in which other pods start
                self.wfile.write(content[100:])

            def log_message(self, *_: object) -> None:
                """Nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/iris.tar.gz"


CACHED = packed({"fairlead.yaml": "name: iris\n"})
CACHED_SHA256 = hashlib.sha256(CACHED).hexdigest()


WITHOUT_RIGHTS = """
import ctypes
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
"""
"""As root: gives up all capabilities, so that modes of files count as for everybody else."""


def fetch_cached(
    pod: Path, url: str, cache: Path, size: int = 1 << 20, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """One pod with a folder of its own fetches the archive CACHED."""
    pod.mkdir(exist_ok=True)
    return run(
        FETCH,
        before=before,
        FAIRLEAD_SOURCE=url,
        FAIRLEAD_ARCHIVE=str(pod / "archive"),
        FAIRLEAD_FOLDER=str(pod / "model"),
        FAIRLEAD_SHA256=CACHED_SHA256,
        FAIRLEAD_CACHE=str(cache),
        FAIRLEAD_CACHE_BYTES=str(size),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def test_of_pods_that_start_at_once_one_downloads_and_the_next_ones_ask_nobody(tmp_path: Path, cache: Path) -> None:
    with serve_in_background(site := Site(CACHED, pause_s=0.5)):
        with ThreadPoolExecutor(4) as pods:
            done = list(pods.map(lambda number: fetch_cached(tmp_path / f"pod{number}", site.url, cache), range(4)))
        done.append(fetch_cached(tmp_path / "pod4", site.url, cache))
    assert [one.returncode for one in done] == [0] * 5, done
    assert site.asked == 1
    assert all((tmp_path / f"pod{number}/model/fairlead.yaml").exists() for number in range(5))
    assert (cache / CACHED_SHA256).read_bytes() == CACHED


def test_what_a_killed_pod_left_behind_is_neither_used_nor_in_the_way(tmp_path: Path, cache: Path) -> None:
    (cache / f"{CACHED_SHA256}.part").write_bytes(CACHED[:50])
    (cache / f"{CACHED_SHA256}.lock").touch()
    with serve_in_background(site := Site(CACHED)):
        assert fetch_cached(tmp_path / "pod", site.url, cache).returncode == 0
    assert {one.name for one in cache.iterdir()} == {CACHED_SHA256, f"{CACHED_SHA256}.lock"}


def test_a_file_of_the_cache_with_another_content_is_never_unpacked(tmp_path: Path, cache: Path) -> None:
    (cache / CACHED_SHA256).write_bytes(packed({"fairlead.yaml": "name: other\n"}))
    with serve_in_background(site := Site(CACHED)):
        done = fetch_cached(tmp_path / "pod", site.url, cache)
    assert (done.returncode, site.asked) == (0, 1)
    assert (tmp_path / "pod/model/fairlead.yaml").read_text() == "name: iris\n"
    assert "another file has this name in the cache" in done.stdout
    assert (cache / CACHED_SHA256).read_bytes() == CACHED


@pytest.mark.parametrize("case", ["not there", "a file"])
def test_a_cache_that_cannot_be_used_keeps_no_model_from_being_fetched(tmp_path: Path, cache: Path, case: str) -> None:
    cache.rmdir()
    if case == "a file":
        cache.touch()
    with serve_in_background(site := Site(CACHED)):
        done = fetch_cached(tmp_path / "pod", site.url, cache)
    assert (done.returncode, site.asked) == (0, 1)
    assert "the cache is not used, and the archive is downloaded: " in done.stdout


def test_without_the_right_to_write_the_cache_a_pod_says_who_needs_it_and_downloads(
    tmp_path: Path, cache: Path
) -> None:
    """The kubelet makes the folder of a node for root, and pods run as another user."""
    cache.chmod(0o555)
    with serve_in_background(site := Site(CACHED)):
        done = fetch_cached(tmp_path / "pod", site.url, cache, before=WITHOUT_RIGHTS)
    assert (done.returncode, site.asked) == (0, 1)
    assert f"user {os.getuid()} of this pod must be able to write it" in done.stdout
    assert (tmp_path / "pod/model/fairlead.yaml").exists()


def test_a_wrong_archive_is_not_kept(tmp_path: Path, cache: Path) -> None:
    with serve_in_background(site := Site(CACHED + b"x")):
        done = fetch_cached(tmp_path / "pod", site.url, cache)
    assert "it is not the archive that was released" in done.stderr
    assert not (cache / CACHED_SHA256).exists()


def test_the_least_recently_used_archives_make_room(tmp_path: Path, cache: Path) -> None:
    size = len(CACHED)
    for age, name in enumerate(["new", "old", "oldest"]):
        file = cache / name.ljust(64, "0")
        file.write_bytes(bytes(size))
        os.utime(file, (1e9 - age, 1e9 - age))
    with serve_in_background(site := Site(CACHED)):
        assert fetch_cached(tmp_path / "pod", site.url, cache, 2 * size).returncode == 0
        assert {one.name for one in cache.iterdir()} == {"new".ljust(64, "0"), CACHED_SHA256, f"{CACHED_SHA256}.lock"}
        (cache / CACHED_SHA256).unlink()
        done = fetch_cached(tmp_path / "pod", site.url, cache, size - 1)
    assert "the archive is larger than the cache, by 1 bytes" in done.stdout
    assert (cache / "new".ljust(64, "0")).exists(), "nothing is removed for an archive that has no room anyway"

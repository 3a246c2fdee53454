"""Runs a real Prometheus for tests: found or fetched by ci/prometheus, on a free loopback port, stopped by its pid."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.missing import skip_or_fail
from support.processes import Child, free_port, wait_until

_FIND = Path(__file__).resolve().parents[2] / "ci" / "prometheus"


@cache
def find_prometheus(program: str = "prometheus") -> Path:
    """A program of ci/prometheus. Without it the test is skipped with the reason; in CI it fails."""
    done = subprocess.run([_FIND, program], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        return Path(done.stdout.strip())
    raise skip_or_fail(f"Prometheus is missing: {done.stderr.strip()}")


class Prometheus:
    """A Prometheus process that can be killed and started again with its data. Use `running_prometheus`."""

    def __init__(
        self,
        folder: Path,
        scrapes: Sequence[dict[str, Any]],
        interval: str,
        rules: Sequence[dict[str, Any]],
        alertmanagers: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._client = httpx.Client(base_url=self.url, timeout=30)  # a new one for each query costs more than the query
        self._folder = folder
        self._timing = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
        self.scrapes, self.rules, self._alertmanagers = tuple(scrapes), tuple(rules), list(alertmanagers)
        self.write(self.scrapes, self.rules)
        command: list[str | Path] = [
            *(find_prometheus(), f"--config.file={folder / 'prometheus.yml'}"),
            *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"),
            *("--storage.tsdb.retention.time=1d", "--log.level=warn", "--web.enable-lifecycle"),
            *options,
        ]
        self.process = Child("prometheus", command, log=folder / "prometheus.log", cwd=folder)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_until(self._answers, "prometheus is ready")

    def kill(self) -> None:
        """Kill it, as when its machine is switched off."""
        self.process.kill()

    def stop(self) -> None:
        """Stop it, for good."""
        self._client.close()
        self.process.stop()

    def reload(self, scrapes: Sequence[dict[str, Any]], rules: Sequence[dict[str, Any]]) -> None:
        """Replace what it scrapes and its rules, while it runs. `scrapes` and `rules` are still the first ones."""
        self.write(scrapes, rules)
        httpx.post(f"{self.url}/-/reload", timeout=10).raise_for_status()

    def write(self, scrapes: Sequence[dict[str, Any]], rules: Sequence[dict[str, Any]]) -> None:
        """Write its configuration, for its next start."""
        for number, one in enumerate(rules):
            (self._folder / f"rules-{number}.yml").write_text(yaml.safe_dump(one))
        files = [f"rules-{number}.yml" for number in range(len(rules))]
        config = {"global": self._timing, "rule_files": files, "scrape_configs": list(scrapes)}
        if self._alertmanagers:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": self._alertmanagers}]}]}
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def query(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result of a query now, or at a time in seconds. Raises ValueError if it is no valid query."""
        return self._result("query", query=query, **({} if at is None else {"time": at}))

    def query_range(
        self, query: str, seconds: float, end: float | None = None, step: float = 1
    ) -> list[dict[str, Any]]:
        """The result of a query over the last seconds, or those before `end`, every `step` seconds."""
        until = time.time() if end is None else end
        return self._result("query_range", query=query, start=until - seconds, end=until, step=step)

    def _result(self, page: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = self._client.get(f"/api/v1/{page}", params=parameters).json()
        if answer["status"] != "success":
            raise ValueError(f"{parameters['query']}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def wait_for(self, query: str, what: str) -> None:
        """Wait until a query returns a result."""
        wait_until(lambda: bool(self.query(query)), what, every=0.2)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@contextlib.contextmanager
def running_prometheus(
    folder: Path,
    scrapes: Sequence[dict[str, Any]],
    *,
    interval: str = "1s",
    rules: Sequence[dict[str, Any]] = (),
    alertmanagers: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[Prometheus]:
    """Run a Prometheus with these `scrape_configs` and rule files; `alertmanagers` are addresses with a port, and
    `options` more options of its command line."""
    prometheus = Prometheus(folder, scrapes, interval, rules, alertmanagers, options)
    try:
        prometheus.start()
        yield prometheus
    finally:
        prometheus.stop()


def static(job: str, *targets: str, path: str = "/metrics", **labels: str) -> dict[str, Any]:
    """A scrape config for these addresses."""
    return {"job_name": job, "metrics_path": path, "static_configs": [{"targets": list(targets), "labels": labels}]}


def from_files(*files: Path) -> dict[str, Any]:
    """A scrape config for the targets in these files, which a platform writes. The files are read every second."""
    found = {"files": [str(file) for file in files], "refresh_interval": "1s"}
    return {"job_name": "platform", "file_sd_configs": [found]}

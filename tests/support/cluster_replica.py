"""Runs one replica of the cluster's control plane as a process, with a real API server and gateways on loopback.

python -m support.cluster_replica SETTINGS    with PYTHONPATH=tests and KUBECONFIG
SETTINGS is control.chart_settings.ChartSettings, as JSON.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

from pydantic import TypeAdapter

from fairlead.control import kubernetes
from fairlead.control.chart_settings import API_PORT, ChartSettings
from fairlead.routing.snapshot import Endpoint, Settings
from fairlead.store.kubernetes import kubeconfig


class LoopbackChartSettings(ChartSettings):
    """Chart settings for gateways that listen on loopback, on the port that the Service would have."""

    def settings(self) -> Settings:
        everywhere = ChartSettings.settings(self)
        return replace(everywhere, host="127.0.0.1", port=self.gateway_port, control=Endpoint(self.address, API_PORT))


def main(chart: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    kubernetes.run(TypeAdapter(LoopbackChartSettings).validate_json(chart), kubeconfig.load())


if __name__ == "__main__":
    main(sys.argv[1])

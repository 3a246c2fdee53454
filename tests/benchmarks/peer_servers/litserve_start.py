"""Starts an API of LitServe as its documentation does, with one worker and no log of requests."""

import argparse

import litserve


def start(api: litserve.LitAPI) -> None:
    """Serve on the port of --port until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )

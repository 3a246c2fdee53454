"""Runs the load generator's process: `python -m support.load CONTROL_FILE`."""

from support.load.generator import main

main()

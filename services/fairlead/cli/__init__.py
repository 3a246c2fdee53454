"""The command line: one module per command, imported only when that command runs.

A command reads its arguments, calls `contracts` and at most one room's entry module, and prints. `main` imports no
command module, so that a rollback does not wait for FastAPI, numpy or an ML library to be imported.
"""

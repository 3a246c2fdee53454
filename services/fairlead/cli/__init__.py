"""The command line: one file per command, loaded only when that command is called.

A command reads its arguments, calls `contracts` and at most one room's entry module, and prints. A rollback must
not wait for FastAPI, numpy or an ML library to be imported, so `main` imports none of the commands itself.
"""

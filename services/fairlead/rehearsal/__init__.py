"""Rehearsals: the very engine, store and estimator over made-up gateways and versions, in virtual time.

Nothing outside the process is touched: no socket, no thread, no file, no clock. What is made up is made up below the
engine's ports, and only there: no rule of the policy is written a second time.
"""

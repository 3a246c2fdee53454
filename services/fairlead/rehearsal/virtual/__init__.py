"""Rehearsals in virtual time: the real engine, store and estimator over a simulated gateway and simulated versions.

Nothing outside the process is touched: no socket, no thread, no file, no clock. Only the engine's ports are simulated;
no rule of the policy is written a second time.
"""

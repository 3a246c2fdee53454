"""Rehearsals in virtual time: the real engine, store and estimator with a simulated gateway and simulated versions.

A rehearsal uses no socket, thread, file or clock. Only the engine's ports are simulated: the rules of the policy are
the production code.
"""

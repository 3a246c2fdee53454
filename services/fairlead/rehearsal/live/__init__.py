"""Rehearsals in real time: real processes behind a real Envoy play a scenario on loopback.

The platform is the one that `fairlead up` runs: supervisor, control plane, gateway. Two parts are simulated: the two
versions are stubs that answer as the scenario says, and the requests come from a bounded load generator. All of it is
removed when the rehearsal ends.
"""

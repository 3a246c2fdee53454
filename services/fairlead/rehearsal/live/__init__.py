"""Rehearsals in real time: real processes behind a real Envoy play a scenario on loopback.

The platform is the one that `fairlead up` runs: supervisor, control plane and gateway. Two parts are simulated: the
versions are stubs that respond as the scenario says, and a bounded load generator sends the requests. Everything is
removed when the rehearsal ends.
"""

"""Rehearsals: test a rollout policy on a scenario before a real release.

`virtual` runs the engine in virtual time, `live` runs a whole platform in real time. Both share the scenario, its
schedule, the judge and the report.
"""

"""Rehearsals: a rollout policy is tested on a scenario before anything is released.

There are two stages. `virtual` runs the engine in virtual time, `live` runs a whole platform in real time. They share
the scenario, its schedule, the judge and the report.
"""

"""The decisions, as pure functions: from a head, a spec, an observation and actions to a decision.

No I/O, no clock and no state here. `act` writes the decision, and the next tick reads it as the new head.
"""

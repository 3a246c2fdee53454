"""The rollout engine: observe, decide (pure), act, report. Level-triggered: everything is read again each time.

It knows no gateway and no database: what it needs of them is declared in `ports`, and `control` wires them.
"""

"""The rollout engine: observe, decide (pure), act, report. Level-triggered: every tick reads everything again.

It knows neither gateways nor databases: `ports` declares what it needs from them, and `control` connects them.
"""

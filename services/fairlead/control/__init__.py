"""The control plane: the one place that wires store, rollout engine and routing together.

It runs one loop (observe, decide, publish) and answers the API on loopback. Nothing here decides: what to do is
`rollout.policy`'s, what a gateway serves is `routing.compile`'s.
"""

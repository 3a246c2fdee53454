"""The control plane: the one package that connects store, rollout engine and routing.

It runs one loop (observe, decide, publish) and serves the API on loopback. Nothing here decides: `rollout.policy`
decides what to do, `routing.compile` what a gateway serves.
"""

"""Storage for routes, revisions, actions, instances and statuses: an append-only ledger and compare-and-set documents.

This room has adapters only. `contracts` defines the documents, and `rollout` decides what to write.
"""

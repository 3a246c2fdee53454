"""Where routes, revisions, actions and wanted instances are kept. Append-only ledger, compare-and-set documents.

Adapters only: what the stored things mean is in `contracts`, what to write is decided in `rollout`.
"""

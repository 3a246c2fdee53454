"""The nouns that processes share: what a manifest, a route, a table, a revision and an action are.

pydantic only; no I/O here, and no clock: whoever makes a revision says when.
"""

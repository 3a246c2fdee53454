"""Data models that the processes share: manifest, route, table, revision, action and others.

pydantic only. No I/O here, and no clock: the code that creates a revision passes the time.
"""

"""Publishing: what gateways are given, in which order, and what they said to it.

`phases` decides and is pure; `files` and `admin` are the I/O around it, for one Envoy that watches a folder.
"""

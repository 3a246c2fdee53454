"""Publishing: which configuration gateways get, in which order, and whether they acknowledged or rejected it.

`update_order` plans and is pure; `files` and `admin` are the I/O around it, for one Envoy that watches a folder.
"""

"""`fairlead calibrate`: finds out how much load one instance of a model answers in time (docs/calibrate.md).

`run` starts the model's own service and sends it load over HTTP on loopback; `service` and `load` are the only modules
with processes and sockets. What decides is pure and takes measurements as values: `arrivals`, `points`, `knee`, `sweep`
and `advice`.
"""

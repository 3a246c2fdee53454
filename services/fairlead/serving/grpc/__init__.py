"""gRPC in front of the data plane: the Open Inference Protocol, health and reflection, on a port of its own.

Beside HTTP: both call `open_inference` and the data plane, and neither has logic of its own. It needs the extra `grpc`.
"""

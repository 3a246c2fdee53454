"""The Open Inference Protocol (V2) without a transport: rows from tensors, tensors from answers, metadata of the model.

HTTP and gRPC both call it. Nothing here knows a status, a header or a message of theirs.
"""

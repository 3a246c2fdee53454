"""HTTP in front of the data plane: envelope, prediction protocols, health, docs page, and error responses.

No other part of the service knows a status, a header or a path. Nothing here calls the model.
"""

"""HTTP in front of the data plane: envelope, protocols, health, docs, and errors to statuses. The only room that
knows a status, a header or a path; nothing here calls the model."""

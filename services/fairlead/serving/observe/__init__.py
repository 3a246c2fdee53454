"""What the service tells about itself: metrics and log lines. Sees values and names, never requests or the model."""

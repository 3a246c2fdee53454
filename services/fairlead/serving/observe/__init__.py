"""What the service counts about itself. Sees values and names, never requests or the model."""

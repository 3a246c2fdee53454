"""Builds the reference profile of a model folder from data that the model was not trained on."""

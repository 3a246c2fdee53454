"""Writes a model folder from a trained file: asks the estimator, and a sample of its data, what a manifest must say.

What is written is what the estimator itself tells or answers; nothing is guessed that it can be asked.
"""

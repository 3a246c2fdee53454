"""Rollouts that are simulated with the engine's own mathematics, and judged by its rules and those of other tools."""

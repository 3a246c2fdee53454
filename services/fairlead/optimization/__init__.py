"""`fairlead optimize`: makes a faster or smaller version of a model, and refuses it unless it answers alike.

`estimators` and `torch_modules` convert to ONNX, `quantizing` and `pruning` change a graph, `writing` makes the folder
of the new version. None of them is believed: `run` serves both versions and asks them the same rows over HTTP. What
decides is pure and takes measurements as values: `answers`, `timing`, `verdict` (docs/optimize.md).
"""

"""The CustomResourceDefinitions, made from the contracts. `ci/crds` writes them into charts/crds.

Nothing of this is loaded while the platform runs.
"""

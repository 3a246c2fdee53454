"""Generator of the CustomResourceDefinitions from the contracts. `ci/crds` writes them into charts/crds.

The running platform does not import this package.
"""

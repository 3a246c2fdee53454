"""The store as Kubernetes objects: routes and actions, which users write, and immutable revisions.

One module per kind of document, on top of `session`. Only `api` does HTTP; `cache` and `informer` keep objects in
memory. See `KubernetesStore` for how to use it.
"""

from fairlead.store.kubernetes.store import KubernetesStore

__all__ = ["KubernetesStore"]

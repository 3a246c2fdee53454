"""The store as Kubernetes objects: routes and actions that people write, revisions that nobody changes.

One module per noun over `session`; `api` is the only place that speaks HTTP, `cache` and `informer` keep what was
read. What a control plane needs of it is described at `KubernetesStore`.
"""

from fairlead.store.kubernetes.store import KubernetesStore

__all__ = ["KubernetesStore"]

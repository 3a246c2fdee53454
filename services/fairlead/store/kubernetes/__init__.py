"""The store as Kubernetes objects."""

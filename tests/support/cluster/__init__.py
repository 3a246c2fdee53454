"""Runs a real Kubernetes cluster for tests from Kubernetes' own programs, without Docker.

There are two tiers, with one handle for both (`lifecycle.Cluster`):

- `control_plane`: etcd, API server, controllers, scheduler and KWOK nodes. Needs no root; ready in seconds.
- `node`: the same and one real node: containerd, kubelet, kube-proxy, CoreDNS. Needs root, because it runs in its own
  Linux namespaces (network, mounts, processes). Its changes to the machine disappear with the namespaces.

`keeper` is the supervisor process of one cluster. `lifecycle` starts, finds and removes clusters. `fixtures` has the
pytest fixtures, `cli` is the command for developers (`ci/cluster`).
"""

"""A real Kubernetes cluster for tests, made of its own programs, without Docker.

Two tiers, one handle (`running.Cluster`):

- `control_plane`: etcd, API server, controllers, scheduler and KWOK nodes. Needs no rights; ready in seconds.
- `node`: the same and one real node: containerd, kubelet, kube-proxy, CoreDNS. Needs root, because it lives in
  namespaces of its own (network, mounts, processes): whatever it changes is gone with them.

`keeper` is the process that holds one cluster and takes it down; `running` starts and finds keepers;
`fixtures` is for pytest, `cli` for developers (`ci/cluster`).
"""

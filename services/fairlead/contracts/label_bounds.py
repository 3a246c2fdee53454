"""What bounds the values of each label that has no list of them. A label without a bound is not declared.

A client must not be able to make series: everything here is written by the owner of a platform, or comes from a list.
"""

from __future__ import annotations

from collections.abc import Mapping

BOUNDS: Mapping[str, str] = {
    # Of Fairlead.
    "model": "models of the platform",
    "version": "versions of a model that have processes",
    "identity": "versions of a model: one for each",
    "artifact": "versions: one for each",
    "folder": "versions: one for each",
    "format": "formats of models",
    "fairlead": "releases of Fairlead that run",
    "profile": "versions: one for each",
    "edges": "versions: one for each",
    "feature": "features of a profile, at most what the profile allows",
    "bin": "bins of a feature",
    "slice": "slices of a profile, at most eight, and none",
    "direction": "directions of a vector: 128",
    "predicted": "the classes that a profile names, and other",
    "truth": "the classes that a profile names, and other",
    "protocol": "protocols of a service, and other",
    "code": "statuses of HTTP",
    "reason": "a list in the code that sets it",
    "condition": "conditions of a route",
    "gate": "gates of a strategy",
    "gateway": "gateways of the platform",
    "client": "names in the file of clients",
    "generation": "generations of Python's collector: three",
    "implementation": "one",
    "major": "one",
    "minor": "one",
    "patchlevel": "one",
    # Of Envoy.
    "envoy_cluster_name": "clusters of its configuration",
    "envoy_endpoint_address": "instances",
    "envoy_http_conn_manager_prefix": "listeners of its configuration",
    "envoy_response_code": "statuses of HTTP",
    "fairlead_namespace": "namespaces that a platform serves",
    "fairlead_model": "models of the platform",
    "fairlead_version": "versions of a model in the table",
    "fairlead_client": "names in the file of clients, and unknown",
    "fairlead_status": "statuses of HTTP",
    "fairlead_grpc": "codes of gRPC, and empty for everything that is no call that failed",
    # Of other programs: objects of the cluster, which only its owner makes.
    "namespace": "namespaces of the cluster",
    "horizontalpodautoscaler": "objects of the cluster",
    "deployment": "objects of the cluster",
    "scaledObject": "objects of the cluster",
    "pod": "pods of the cluster",
    "uid": "pods of the cluster",
    "container": "containers of a pod",
    "node": "nodes of the cluster",
    "resource": "resources that nodes offer",
    "unit": "units of resources",
    "metric_name": "targets of an autoscaler",
    "metric": "triggers of a ScaledObject",
    "scaler": "kinds of triggers",
    "triggerIndex": "triggers of a ScaledObject",
    "type": "kinds of objects of KEDA",
    "gpu": "GPUs of a node",
    "UUID": "GPUs of the cluster",
    "device": "GPUs of a node",
    "modelName": "products of GPUs",
    "Hostname": "nodes of the cluster",
}
"""By label: what it has as many values as."""

"""Declarations of metrics that others emit and that rules and dashboards of capacity read: of kube-state-metrics, of
KEDA and of NVIDIA's DCGM exporter. Fairlead needs none of them: without them these panels are empty.

They say what an object is called and not which model it belongs to: `monitoring.capacity_recording` finds that out.
"""

from __future__ import annotations

from fairlead.contracts.telemetry import Declared

_autoscaler = Declared("kube-state-metrics", "kube_horizontalpodautoscaler_", ("namespace", "horizontalpodautoscaler"))
_TARGETS = ("value", "utilization", "average")

AUTOSCALER_DESIRED = _autoscaler("status_desired_replicas", "gauge", "instances", "Instances that the autoscaler wants")
AUTOSCALER_LEAST = _autoscaler("spec_min_replicas", "gauge", "instances", "The fewest that it may want")
AUTOSCALER_MOST = _autoscaler("spec_max_replicas", "gauge", "instances", "The most that it may want")
AUTOSCALER_TARGET = _autoscaler(
    "spec_target_metric", "gauge", "as the target", "What each number is compared with", "metric_name",
    metric_target_type=_TARGETS,
)  # fmt: skip
AUTOSCALER_READ = _autoscaler(
    "status_target_metric", "gauge", "as the target", "What the autoscaler has read", "metric_name",
    metric_target_type=_TARGETS,
)  # fmt: skip

_deployment = Declared("kube-state-metrics", "kube_deployment_", ("namespace", "deployment"))
DEPLOYMENT_READY = _deployment("status_replicas_ready", "gauge", "instances", "Pods of a Deployment that are ready")

POD_REQUESTS = Declared("kube-state-metrics", "kube_pod_")(
    "container_resource_requests",
    "gauge",
    "as the resource",
    "What a container has reserved: cores, bytes, GPUs (`nvidia_com_gpu`, or the name of a slice)",
    *("namespace", "pod", "uid", "container", "node", "resource", "unit"),
)

KEDA_ERRORS = Declared("KEDA", "keda_")(
    "scaler_detail_errors_total",
    "counter",
    "readings",
    "Readings that failed; after some of them the number of instances is that of `fallback`",
    *("namespace", "metric", "scaledObject", "scaler", "triggerIndex", "type"),
)

_gpu = Declared(
    "DCGM exporter", "DCGM_FI_", ("gpu", "UUID", "device", "modelName", "Hostname", "namespace", "pod", "container")
)
GPU_BUSY = _gpu("DEV_GPU_UTIL", "gauge", "percent", "Time in which anything ran on the GPU; none for a MIG slice")
GPU_ENGINE = _gpu("PROF_GR_ENGINE_ACTIVE", "gauge", "ratio", "Time in which its engine was active, also of a MIG slice")
GPU_MEMORY_USED = _gpu("DEV_FB_USED", "gauge", "mebibytes", "Memory that is used")
GPU_MEMORY_FREE = _gpu("DEV_FB_FREE", "gauge", "mebibytes", "Memory that is free")
GPU_POWER = _gpu("DEV_POWER_USAGE", "gauge", "watts", "Power")
GPU_TEMPERATURE = _gpu("DEV_GPU_TEMP", "gauge", "degrees Celsius", "Temperature")
GPU_FAULT = _gpu("DEV_XID_ERRORS", "gauge", "XID", "NVIDIA's number of the last fault; 0: none")

OUTSIDE = (
    AUTOSCALER_DESIRED,
    AUTOSCALER_LEAST,
    AUTOSCALER_MOST,
    AUTOSCALER_TARGET,
    AUTOSCALER_READ,
    DEPLOYMENT_READY,
    POD_REQUESTS,
    KEDA_ERRORS,
    GPU_BUSY,
    GPU_ENGINE,
    GPU_MEMORY_USED,
    GPU_MEMORY_FREE,
    GPU_POWER,
    GPU_TEMPERATURE,
    GPU_FAULT,
)
"""All of them, in the order declared above."""

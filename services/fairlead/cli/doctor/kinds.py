"""The Kubernetes kinds that the checks read and the store does not."""

from __future__ import annotations

from fairlead.store.kubernetes.kinds import Kind

SERVICES = Kind("/api/v1", "services", "Service")
CONFIG_MAPS = Kind("/api/v1", "configmaps", "ConfigMap", metadata_only=True)
SECRETS = Kind("/api/v1", "secrets", "Secret", metadata_only=True)
"""Metadata only: no value of a Secret leaves the API server."""
ACCOUNTS = Kind("/api/v1", "serviceaccounts", "ServiceAccount")
QUOTAS = Kind("/api/v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES = Kind("/api/v1", "limitranges", "LimitRange")
CERTIFICATES = Kind("/apis/cert-manager.io/v1", "certificates", "Certificate")
DAEMON_SETS = Kind("/apis/apps/v1", "daemonsets", "DaemonSet")
AUTOSCALERS = Kind("/apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = Kind("/apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject")
NETWORK_POLICIES = Kind("/apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy")
INGRESSES = Kind("/apis/networking.k8s.io/v1", "ingresses", "Ingress")
PRIORITY_CLASSES = Kind("/apis/scheduling.k8s.io/v1", "priorityclasses", "PriorityClass")
POLICIES = Kind("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy")
BINDINGS = Kind(
    "/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"
)

"""The whole loop of autoscaling, with nothing simulated: model services in pods, Prometheus, KEDA, the cluster's own
autoscaler, a Deployment; and what happened in it, as samples over time."""

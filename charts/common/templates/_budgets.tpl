{{/* The spec of a PodDisruptionBudget: (dict "budget" values "selector" labels). */}}
{{- define "fairlead.budgetSpec" -}}
{{- if kindIs "invalid" .budget.minAvailable -}}
maxUnavailable: {{ .budget.maxUnavailable }}
{{- else -}}
minAvailable: {{ .budget.minAvailable }}
{{- end }}
unhealthyPodEvictionPolicy: {{ .budget.unhealthyPodEvictionPolicy }}
selector:
  matchLabels: {{- .selector | toYaml | nindent 4 }}
{{- end }}

{{/* "true" if there can be more than one pod, so that a disruption budget is useful: (list count autoscaling). */}}
{{- define "fairlead.multiplePods" -}}
{{- if or (gt (int (index . 0)) 1) (not (has (index . 1).kind (list "none" "managed"))) }}true{{ end }}
{{- end }}

{{/* Fails if an autoscaler's most pods are less than its fewest: (dict "minimum" n "scaling" values "at" path-of-the-values). */}}
{{- define "fairlead.checkMost" -}}
{{- if lt (int .scaling.maxInstances) (int .minimum) }}
{{- fail (printf "%s.maxInstances: %d is less than the minimum of %d pods; raise maxInstances or lower the number of pods" .at (int .scaling.maxInstances) (int .minimum)) }}
{{- end }}
{{- end }}

{{/*
The spec of a HorizontalPodAutoscaler: (dict "name" deployment "minimum" n "scaling" values "at" path-of-the-values).
*/}}
{{- define "fairlead.autoscalerSpec" -}}
{{- $scaling := .scaling -}}
{{- include "fairlead.checkMost" . -}}
{{- if not (or $scaling.cpuPercent $scaling.metrics) }}
{{- fail (printf "%s.kind: is hpa, but there is no metric to scale by; set cpuPercent%s or metrics" .at (ternary ", a target" "" (hasKey $scaling "target"))) }}
{{- end -}}
scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
minReplicas: {{ int .minimum }}
maxReplicas: {{ int $scaling.maxInstances }}
metrics:
  {{- with $scaling.cpuPercent }}
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ int . }}}}
  {{- end }}
  {{- with $scaling.metrics }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $scaling.behavior }}
behavior: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

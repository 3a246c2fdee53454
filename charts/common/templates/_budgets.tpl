{{/* A PodDisruptionBudget's spec: (dict "budget" values "selector" labels). */}}
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

{{/* "true" where there can be more than one pod, so that a budget means something: (list count autoscaling). */}}
{{- define "fairlead.several" -}}
{{- if or (gt (int (index . 0)) 1) (ne (index . 1).kind "none") }}true{{ end }}
{{- end }}

{{/* A HorizontalPodAutoscaler's spec: (dict "name" deployment "least" n "scaling" values "at" path). */}}
{{- define "fairlead.autoscalerSpec" -}}
{{- $scaling := .scaling -}}
{{- if lt (int $scaling.maxInstances) (int .least) }}
{{- fail (printf "%s.maxInstances is %d, less than the %d that run at least" .at (int $scaling.maxInstances) (int .least)) }}
{{- end }}
{{- if not (or $scaling.cpuPercent $scaling.metrics) }}
{{- fail (printf "%s.kind is hpa, and nothing is measured: set cpuPercent or metrics" .at) }}
{{- end -}}
scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
minReplicas: {{ int .least }}
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

{{/* <release>-<part>; the longest suffix must fit into 63. */}}
{{- define "platform.name" -}}
{{- $root := index . 0 -}}
{{- if gt (len $root.Release.Name) 49 -}}
{{- fail (printf "the release's name %q is longer than 49: Services called after it would not fit into 63" $root.Release.Name) -}}
{{- end -}}
{{ $root.Release.Name }}-{{ index . 1 }}
{{- end }}

{{/* What selects the pods of one part: (list $ part). */}}
{{- define "platform.selector" -}}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "platform.labels" -}}
{{ include "fairlead.labels" (dict "root" (index . 0) "name" (printf "fairlead-%s" (index . 1)) "component" (index . 1) "version" ((index . 0).Chart.AppVersion)) }}
{{- end }}

{{/* Metadata of an object that belongs to a part: (list $ part name). */}}
{{- define "platform.metadata" -}}
name: {{ index . 2 | quote }}
namespace: {{ (index . 0).Release.Namespace | quote }}
labels: {{- include "platform.labels" . | nindent 2 }}
{{- end }}

{{/* The image of a part: (list $ values). */}}
{{- define "platform.image" -}}
{{- $root := index . 0 -}}
{{- include "fairlead.image" (dict "image" (merge (dict "registry" $root.Values.imageRegistry) (index . 1).image) "tag" $root.Chart.AppVersion) -}}
{{- end }}

{{- define "platform.serviceAccount" -}}
{{ .Values.controlPlane.serviceAccount.name | default (include "platform.name" (list . "control-plane")) }}
{{- end }}

{{/* The control plane inside the cluster, as a full name: the dot spares resolvers their search list. */}}
{{- define "platform.controlPlaneHost" -}}
{{ include "platform.name" (list . "control-plane") }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}.
{{- end }}

{{/* Where rollouts are counted, as JSON; empty where it is the gateways and nothing else. */}}
{{- define "platform.metrics" -}}
{{- $told := .Values.prometheus }}
{{- if $told.url }}
{{- $job := printf "job=%q" (printf "%s/%s" .Release.Namespace (include "platform.name" (list . "gateway"))) }}
{{- $prometheus := dict "url" $told.url "selector" ($told.selector | default $job) "gatewayLabel" $told.gatewayLabel }}
{{- $prometheus = merge $prometheus (dict "scrapeInterval" ($told.scrapeInterval | default .Values.podMonitor.interval) "timeout" $told.timeout) }}
{{- $prometheus = merge $prometheus (dict "bearerTokenFile" $told.bearerTokenFile "caFile" $told.caFile) }}
{{- dict "source" .Values.metricSource "prometheus" $prometheus | toJson }}
{{- else if eq .Values.metricSource "prometheus" }}
{{- fail "metricSource is prometheus, so prometheus.url must say where it is" }}
{{- end }}
{{- end }}

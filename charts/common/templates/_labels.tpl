{{/*
Labels of an object: (dict "root" $ "name" ... "component" ...), with "version" where it has one and "more" of ours.
Ours win over commonLabels: the platform finds its parts by them.
*/}}
{{- define "fairlead.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $ours := dict "app.kubernetes.io/managed-by" .root.Release.Service "helm.sh/chart" $chart -}}
{{- merge (include "fairlead.ours" . | fromYaml) $ours (.root.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/* Labels of a pod, with "labels" the user's own. The chart's version stays off: a new chart must not start models again. */}}
{{- define "fairlead.podLabels" -}}
{{- merge (include "fairlead.ours" . | fromYaml) (.labels | default dict) | toYaml }}
{{- end }}

{{- define "fairlead.ours" -}}
app.kubernetes.io/name: {{ .name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: fairlead
{{- with .version }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The common annotations, with more of them over it: (dict "root" $ "more" (dict ...)), as a line of metadata. */}}
{{- define "fairlead.annotations" -}}
{{- with merge (dict) (.more | default dict) (.root.Values.commonAnnotations | default dict) -}}
{{- toYaml (dict "annotations" .) | nindent 2 }}
{{- end }}
{{- end }}

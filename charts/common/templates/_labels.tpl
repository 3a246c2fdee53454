{{/*
Labels of an object: (dict "root" $ "name" ... "component" ...), optionally with "version" and "more" labels of Fairlead.
These take precedence over commonLabels, because the platform finds its objects by them.
*/}}
{{- define "fairlead.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $ours := dict "app.kubernetes.io/managed-by" .root.Release.Service "helm.sh/chart" $chart -}}
{{- merge (include "fairlead.ownLabels" . | fromYaml) $ours (.root.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/*
Labels of a pod; "labels" are those of the user. They do not include the chart's version, so that a new chart does not
restart models.
*/}}
{{- define "fairlead.podLabels" -}}
{{- merge (include "fairlead.ownLabels" . | fromYaml) (.labels | default dict) | toYaml }}
{{- end }}

{{/* The labels by which the platform finds its objects; the arguments are those of fairlead.labels. */}}
{{- define "fairlead.ownLabels" -}}
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

{{/*
The `annotations:` of an object's metadata: (dict "root" $ "more" (dict ...)). "more" takes precedence over
commonAnnotations.
*/}}
{{- define "fairlead.annotations" -}}
{{- with merge (dict) (.more | default dict) (.root.Values.commonAnnotations | default dict) -}}
{{- toYaml (dict "annotations" .) | nindent 2 }}
{{- end }}
{{- end }}

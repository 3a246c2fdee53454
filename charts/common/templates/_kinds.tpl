{{/*
"true" if an object of a kind that the cluster may not have (PodMonitor) is rendered: (dict "root" $ "mode" renderMode
"api" group/version/kind "at" path-of-the-value). The mode is explicit, because `helm template` does not know the kinds
of a cluster and would omit the object silently.
*/}}
{{- define "fairlead.renders" -}}
{{- if eq .mode "always" }}true
{{- else if ne .mode "never" }}
{{- if .root.Capabilities.APIVersions.Has .api }}true
{{- else if eq .mode "failIfMissing" }}
{{- fail (printf "%s: is failIfMissing, but the cluster has no %s; install that kind, or set skipIfMissing or never" .at .api) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Renders each entry of extraObjects as a template. */}}
{{- define "fairlead.extraObjects" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (kindIs "string" . | ternary . (toYaml .)) $ }}
{{- end }}
{{- end }}

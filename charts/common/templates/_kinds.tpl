{{/*
"true" where an object of a kind from elsewhere is rendered: (dict "root" $ "mode" renderMode "api" group/version/kind
"at" path). A bare look at the cluster would drop it without a word under `helm template`.
*/}}
{{- define "fairlead.renders" -}}
{{- if eq .mode "always" }}true
{{- else if ne .mode "never" }}
{{- if .root.Capabilities.APIVersions.Has .api }}true
{{- else if eq .mode "failIfMissing" }}
{{- fail (printf "%s is failIfMissing, and the cluster has no %s" .at .api) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The objects of extraObjects, each rendered as a template. */}}
{{- define "fairlead.extraObjects" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (kindIs "string" . | ternary . (toYaml .)) $ }}
{{- end }}
{{- end }}

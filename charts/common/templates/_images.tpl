{{/*
A reference: (dict "image" .Values.image "repository" "default/name" "tag" "default"). With a digest the tag is left out:
it says nothing more, and a tag that changes must not look like another image.
*/}}
{{- define "fairlead.image" -}}
{{- $name := .image.repository | default .repository -}}
{{- with .image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if .image.digest -}}
{{ printf "%s@%s" $name .image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (.image.tag | default .tag) }}
{{- end -}}
{{- end }}

{{/*
A version's identity, as contracts.route.VersionSpec.ref computes it: (list version image artifact).
*/}}
{{- define "fairlead.identity" -}}
{{ join "\n" . | sha256sum | trunc 10 }}
{{- end }}

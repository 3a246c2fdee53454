{{/*
An image reference: (dict "image" .Values.image "repository" "default/name" "tag" "default"). With a digest the tag is
omitted: the digest alone identifies the image, and a changed tag must not look like another image.
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
The identity of a version, computed as in contracts.route.VersionSpec.ref: (list version image artifact).
*/}}
{{- define "fairlead.identity" -}}
{{ join "\n" . | sha256sum | trunc 10 }}
{{- end }}

{{/*
Envoy's bootstrap file. ci/charts writes it from routing/envoy/bootstrap.py; this template only inserts the address of the
control plane.
*/}}
{{- define "platform.bootstrap" -}}
{{ .Files.Get "files/bootstrap.json" | replace "CONTROL-PLANE.invalid." (include "platform.controlPlaneHost" .) }}
{{- end }}

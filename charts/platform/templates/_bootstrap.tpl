{{/*
What Envoy starts with. The file is written by ci/charts from routing/envoy/bootstrap.py; only the address of the control
plane is filled in here.
*/}}
{{- define "platform.bootstrap" -}}
{{ .Files.Get "files/bootstrap.json" | replace "CONTROL-PLANE.invalid." (include "platform.controlPlaneHost" .) }}
{{- end }}

{{/*
Envoy's bootstrap file. ci/charts writes it from routing/envoy/bootstrap.py, and so the control plane's cluster with TLS,
which tls.controlPlane puts into its place. This template only inserts the address of the control plane, and what follows
from the memory limit: the heap is four fifths of it, and there is one connection for each 128 KiB.
*/}}
{{- define "platform.bootstrap" -}}
{{- $memory := include "platform.gatewayMemory" . | int64 -}}
{{- $host := include "platform.controlPlaneHost" . -}}
{{- $text := .Files.Get "files/bootstrap.json" | replace "CONTROL-PLANE.invalid." $host -}}
{{- $text = $text | replace "\"HEAP-BYTES\"" (div $memory 5 | mul 4 | toString) -}}
{{- $text = $text | replace "\"MAX-CONNECTIONS\"" (div $memory 131072 | toString) -}}
{{- if ne (include "platform.tlsControlPlane" .) "off" -}}
{{- $secure := .Files.Get "files/control-plane-tls.json" | replace "CONTROL-PLANE.invalid." $host -}}
{{- $secure = $secure | replace "CONTROL-PLANE.invalid" (trimSuffix "." $host) | fromJson -}}
{{- $document := fromJson $text -}}
{{- $_ := set $document.static_resources "clusters" (prepend (rest $document.static_resources.clusters) $secure) -}}
{{ toJson $document }}
{{- else -}}
{{ $text }}
{{- end -}}
{{- end }}

{{/* The memory of a gateway in bytes: its limit, 1 GiB without one. At least eight of the largest bodies must fit. */}}
{{- define "platform.gatewayMemory" -}}
{{- $part := .Values.gateway -}}
{{- $limit := ($part.resources.limits | default dict).memory | default "1Gi" -}}
{{- $memory := include "fairlead.bytes" $limit | int64 -}}
{{- $needed := int64 $part.maxRequestBytes | mul 8 -}}
{{- if lt $memory $needed -}}
{{- $at := include "fairlead.at" . -}}
{{- fail (printf "%sgateway.maxRequestBytes: %d is more than an eighth of the gateway's memory (%v), so a few uploads would fill it; raise %sgateway.resources.limits.memory to %dMi at least" $at (int64 $part.maxRequestBytes) $limit $at (div (add $needed 1048575) 1048576)) -}}
{{- end -}}
{{ $memory }}
{{- end }}

{{/* The Secret with the certificate of a component, gateway or control-plane; empty without TLS: (list $ part). */}}
{{- define "platform.tlsSecret" -}}
{{- $root := index . 0 -}}{{- $tls := $root.Values.tls -}}
{{- if eq $tls.mode "cert-manager" -}}
{{ include "platform.name" . }}-tls
{{- else if eq $tls.mode "secrets" -}}
{{- $key := get (dict "gateway" "gateway" "control-plane" "controlPlane") (index . 1) -}}
{{- if not (get $tls.secretNames $key) -}}
{{- fail (printf "%stls.secretNames.%s: is empty, but tls.mode is secrets; name the Secret with tls.crt, tls.key and ca.crt" (include "fairlead.at" $root) $key) -}}
{{- end -}}
{{ get $tls.secretNames $key }}
{{- end -}}
{{- end }}

{{/* Whether gateways and control plane speak TLS with models: "true" or nothing. */}}
{{- define "platform.tlsToModels" -}}
{{- if and (ne .Values.tls.mode "off") .Values.tls.toModels }}true{{ end -}}
{{- end }}

{{/* How gateways ask the control plane: "off", "both" or "only", as in the values. */}}
{{- define "platform.tlsControlPlane" -}}
{{- if and (eq .Values.tls.mode "off") (ne .Values.tls.controlPlane "off") -}}
{{- fail (printf "%stls.controlPlane: is %s, but tls.mode is off, so there are no certificates; set tls.mode" (include "fairlead.at" .) .Values.tls.controlPlane) -}}
{{- end -}}
{{ .Values.tls.controlPlane }}
{{- end }}

{{/* Fails where gateways that run would be cut off from the control plane. Nothing is known without a cluster. */}}
{{- define "platform.noneIsCutOff" -}}
{{- if .Release.IsUpgrade -}}
{{- $running := lookup "v1" "ConfigMap" .Release.Namespace (include "platform.name" (list . "gateway")) -}}
{{- if $running -}}
{{- $asksWithTLS := contains "/etc/fairlead/authorities.json" (get ($running.data | default dict) "bootstrap.json") -}}
{{- if and (eq (include "platform.tlsControlPlane" .) "only") (not $asksWithTLS) -}}
{{- fail (printf "%stls.controlPlane: is only, but the gateways of this release ask the control plane without TLS, and would get no tables until they are replaced; upgrade with both first, and with only when the gateways have been replaced (docs/tls.md)" (include "fairlead.at" .)) -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "off") $asksWithTLS -}}
{{- fail (printf "%stls.mode: is off, but the gateways of this release ask the control plane with TLS, and would get no tables until they are replaced; upgrade with tls.controlPlane: \"off\" first, and with tls.mode: \"off\" when the gateways have been replaced (docs/tls.md)" (include "fairlead.at" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secret with the certificate that clients see; empty if the entry has no TLS. */}}
{{- define "platform.entrySecret" -}}
{{- $tls := .Values.gateway.tls -}}
{{- $at := printf "%sgateway.tls" (include "fairlead.at" .) -}}
{{- if and $tls.secretName $tls.certManager.issuerName -}}
{{- fail (printf "%s.secretName: is set, and certManager.issuerName too; name one of them" $at) -}}
{{- end -}}
{{- if and $tls.clientCA (eq $tls.plain "open") -}}
{{- fail (printf "%s.plain: open lets everybody in without the certificate that clientCA asks for; use closed or redirect" $at) -}}
{{- end -}}
{{- if $tls.certManager.issuerName -}}
{{ include "platform.name" (list . "entry") }}-tls
{{- else if $tls.secretName -}}
{{ $tls.secretName }}
{{- else if $tls.clientCA -}}
{{- fail (printf "%s.clientCA: is set, but the entry has no TLS; set secretName or certManager.issuerName" $at) -}}
{{- end -}}
{{- end }}

{{/* The Service's port to which an Ingress or HTTPRoute connects: "http" or "https". */}}
{{- define "platform.entryPort" -}}
{{- if and (include "platform.entrySecret" .) (ne .Values.gateway.tls.plain "open") }}https{{ else }}http{{ end -}}
{{- end }}

{{/*
A Certificate: (dict "root" $ "part" name "usages" list "names" list), with "namespace" if it is a further one. Its Secret
is <release>-<part>-tls.
*/}}
{{- define "platform.certificate" -}}
{{- $name := include "platform.name" (list .root .part) -}}
{{- $settings := .root.Values.tls.certManager -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- $metadata := list .root .part $name }}
  {{- with .namespace }}{{ $metadata = append $metadata . }}{{ end }}
  {{- include "platform.metadata" $metadata | nindent 2 }}
  {{- include "fairlead.annotations" (dict "root" .root) }}
spec:
  secretName: {{ $name }}-tls
  duration: {{ $settings.duration }}
  renewBefore: {{ $settings.renewBefore }}
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  usages: [digital signature, {{ join ", " .usages }}]
  dnsNames: {{- toYaml .names | nindent 4 }}
  issuerRef:
    group: cert-manager.io
    kind: {{ ternary $settings.issuerKind "Issuer" (not (empty $settings.issuerName)) }}
    name: {{ $settings.issuerName | default (include "platform.name" (list .root "authority")) | quote }}
{{- end }}

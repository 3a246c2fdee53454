{{/* The NetworkPolicy of all models of a namespace; the arguments are those of platform.metadata. */}}
{{- define "platform.modelsPolicy" -}}
{{- $root := index . 0 -}}
{{- $namespace := ternary $root.Release.Namespace "" (gt (len .) 3) -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "platform.metadata" . | nindent 2 }}
  {{- include "fairlead.annotations" (dict "root" $root) }}
spec:
  podSelector:
    matchLabels: {app.kubernetes.io/part-of: fairlead, app.kubernetes.io/component: model}
    matchExpressions: [{key: fairlead.dev/network, operator: NotIn, values: [open]}]
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        {{- include "fairlead.platformPeer" (dict "component" "gateway" "release" $root.Release.Name "namespace" $namespace) | nindent 8 }}
        {{- include "fairlead.platformPeer" (dict "component" "control-plane" "release" $root.Release.Name "namespace" $namespace) | nindent 8 }}
      ports:
        - {port: 8080, protocol: TCP}
        {{- if ne $root.Values.tls.mode "off" }}
        - {port: 8443, protocol: TCP}
        {{- end }}
{{- end }}

{{/*
A Role for people and its binding: (dict "root" $ "role" part "rules" list "subjects" list), with "namespace" if it is a
further one.
*/}}
{{- define "platform.role" -}}
{{- $name := include (ternary "platform.servedName" "platform.name" (hasKey . "namespace")) (list .root .role) -}}
{{- $metadata := list .root .role $name -}}
{{- $of := .root.Release.Namespace -}}
{{- if hasKey . "namespace" -}}{{- $metadata = append $metadata .namespace -}}{{- $of = .namespace -}}{{- end -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "platform.metadata" $metadata | nindent 2 }}
  {{- include "fairlead.annotations" (dict "root" .root) }}
rules: {{- toYaml .rules | nindent 2 }}
{{- with .subjects }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "platform.metadata" $metadata | nindent 2 }}
  {{- include "fairlead.annotations" (dict "root" $.root) }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  {{- range . }}
  - kind: {{ .kind }}
    name: {{ .name | quote }}
    {{- if eq .kind "ServiceAccount" }}
    namespace: {{ .namespace | default $of | quote }}
    {{- else }}
    apiGroup: rbac.authorization.k8s.io
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

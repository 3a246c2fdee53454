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
Fails if a further namespace has an account of the control plane of another platform: (list $ namespace). The policies of
charts/crds read every such account, and would let neither platform write there. Nothing is known without a cluster.
*/}}
{{- define "platform.noOther" -}}
{{- $root := index . 0 -}}
{{- $namespace := index . 1 -}}
{{- range (lookup "v1" "ServiceAccount" $namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/part-of") "fairlead") (eq (get $labels "app.kubernetes.io/component") "control-plane") -}}
{{- $platform := get $labels "fairlead.dev/platform" -}}
{{- if or (ne $platform $root.Release.Namespace) (ne (get $labels "app.kubernetes.io/instance") $root.Release.Name) -}}
{{- fail (printf "%snamespaces: %s has the control plane of another platform, release %s of namespace %s: with both, neither could write there; uninstall that one or take the namespace out of its list, or take it out of this one" (include "fairlead.at" $root) $namespace (get $labels "app.kubernetes.io/instance") ($platform | default $namespace)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
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

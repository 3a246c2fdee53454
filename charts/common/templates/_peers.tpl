{{/* A NetworkPolicy peer that selects the pods of one component: (dict "component" ... "namespace" ...). */}}
{{- define "fairlead.platformPeer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/part-of: fairlead
      app.kubernetes.io/component: {{ .component }}
      {{- with .release }}
      app.kubernetes.io/instance: {{ . | quote }}
      {{- end }}
  {{- with .namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . | quote }}
  {{- end }}
{{- end }}

{{/* Allows DNS lookups, from every resolver, because NodeLocal DNSCache is not a pod of kube-system. */}}
{{- define "fairlead.dnsRule" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* The pods of one part of the platform, as a peer of a NetworkPolicy: (dict "component" ... "namespace" ...). */}}
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

{{/* The rule that lets names be looked up. Every resolver, because NodeLocal DNSCache is no pod of kube-system. */}}
{{- define "fairlead.dnsRule" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

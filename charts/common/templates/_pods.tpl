{{/*
Overrides one map with another, in place: maps key by key, every other value as a whole. (list map overrides)
*/}}
{{- define "fairlead.overlay" -}}
{{- $under := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $old := get $under $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $old) -}}
{{- include "fairlead.overlay" (list $old $value) -}}
{{- else -}}
{{- $_ := set $under $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
The scheduling, name resolution and security part of a pod's spec: (dict "pod" values "selector" labels "pullSecrets"
list "at" path-of-the-values).
*/}}
{{- define "fairlead.podSettings" -}}
{{- if and (eq .pod.dnsPolicy "None") (not .pod.dnsConfig.nameservers) }}
{{- fail (printf "%s.dnsPolicy: is None, so the pods need a resolver; list one in dnsConfig.nameservers" .at) }}
{{- end -}}
enableServiceLinks: false
{{- with .pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .pod.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .pod.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .pod.schedulerName }}
schedulerName: {{ . | quote }}
{{- end }}
{{- with .pod.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - labelSelector:
      matchLabels: {{- $.selector | toYaml | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
    {{- merge (dict) . (dict "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway") | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
The user's init containers: the argument is the pod's values. Without a securityContext of its own a container gets the
pod's, so that the chart's defaults stay within Pod Security's level restricted.
*/}}
{{- define "fairlead.initContainers" -}}
{{- $pod := . -}}
{{- range .initContainers }}
- {{ ternary . (set (deepCopy .) "securityContext" $pod.securityContext) (hasKey . "securityContext") | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/*
The environment of a container: (list chart's-variables-as-YAML user's-list). Server-side apply refuses a name that occurs
twice, so the user's variable takes the place of the chart's, as the last one of a name does in a pod.
*/}}
{{- define "fairlead.environment" -}}
{{- $given := index . 1 | default list -}}
{{- $last := dict -}}
{{- range $index, $one := $given -}}{{- $_ := set $last $one.name $index -}}{{- end -}}
{{- $all := list -}}
{{- range index . 0 | fromYamlArray -}}
{{- if not (hasKey $last .name) -}}{{- $all = append $all . -}}{{- end -}}
{{- end -}}
{{- range $index, $one := $given -}}
{{- if eq $index (get $last $one.name) -}}{{- $all = append $all $one -}}{{- end -}}
{{- end -}}
{{ toYaml $all }}
{{- end }}

{{/* The strategy of a Deployment; the argument is the values of rollingUpdate. */}}
{{- define "fairlead.rollingUpdate" -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ .maxSurge }}
  maxUnavailable: {{ .maxUnavailable }}
{{- end }}

{{/* The preStop sleep; omitted if it is 0, because Kubernetes before 1.33 rejects a sleep of 0. */}}
{{- define "fairlead.preStop" -}}
{{- if gt (int .preStopSeconds) 0 -}}
lifecycle:
  preStop:
    sleep: {seconds: {{ int .preStopSeconds }}}
{{- end }}
{{- end }}

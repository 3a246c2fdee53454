{{/* The name of a component's objects, <release>-<part>: (list $ part). With the longest suffix it may have 63 characters. */}}
{{- define "platform.name" -}}
{{- $root := index . 0 -}}
{{- if gt (len $root.Release.Name) 49 -}}
{{- fail (printf "the release name %q is longer than 49 characters: the names of its Services would exceed 63; choose a shorter one" $root.Release.Name) -}}
{{- end -}}
{{ $root.Release.Name }}-{{ index . 1 }}
{{- end }}

{{/* The labels that select the pods of one component: (list $ part). */}}
{{- define "platform.selector" -}}
app.kubernetes.io/part-of: fairlead
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of an object of a component: (list $ part). In a further namespace: (list $ part name namespace). */}}
{{- define "platform.labels" -}}
{{- $more := dict -}}
{{- if gt (len .) 3 -}}{{- $more = dict "fairlead.dev/platform" (index . 0).Release.Namespace -}}{{- end -}}
{{ include "fairlead.labels" (dict "root" (index . 0) "name" (printf "fairlead-%s" (index . 1)) "component" (index . 1) "version" ((index . 0).Chart.AppVersion) "more" $more) }}
{{- end }}

{{/* Metadata of an object of a component: (list $ part name), in a further namespace (list $ part name namespace). */}}
{{- define "platform.metadata" -}}
name: {{ index . 2 | quote }}
namespace: {{ ternary (last .) (index . 0).Release.Namespace (gt (len .) 3) | quote }}
labels: {{- include "platform.labels" . | nindent 2 }}
{{- end }}

{{/*
The name of a component's objects in a further namespace, <release>-<part>.<platform's namespace>: (list $ part). So a
platform that is installed there has other names.
*/}}
{{- define "platform.servedName" -}}
{{ include "platform.name" . }}.{{ (index . 0).Release.Namespace }}
{{- end }}

{{/* The names of the further namespaces, between commas. Fails for one that is listed twice, or is the platform's own. */}}
{{- define "platform.namespaces" -}}
{{- $root := . -}}{{- $names := list -}}
{{- range $index, $one := .Values.namespaces -}}
{{- if eq $one.name $root.Release.Namespace -}}
{{- fail (printf "%snamespaces[%d].name: %s is the platform's own namespace, which it serves anyway; take it out" (include "fairlead.at" $root) $index $one.name) -}}
{{- end -}}
{{- if has $one.name $names -}}
{{- fail (printf "%snamespaces[%d].name: %s is listed twice; take one out" (include "fairlead.at" $root) $index $one.name) -}}
{{- end -}}
{{- $names = append $names $one.name -}}
{{- end -}}
{{ join "," $names }}
{{- end }}

{{/* What a quota limits, as the `hard` of a ResourceQuota: a value such as `quota`. */}}
{{- define "platform.quota" -}}
{{- $hard := dict -}}
{{- if not (kindIs "invalid" .pods) -}}{{- $_ := set $hard "pods" (toString (int64 .pods)) -}}{{- end -}}
{{- range $name := list "cpu" "memory" -}}
{{- if not (kindIs "invalid" (get $ $name)) -}}{{- if ne (toString (get $ $name)) "" -}}{{- $_ := set $hard (printf "requests.%s" $name) (toString (get $ $name)) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range $name, $most := .resources -}}{{- $_ := set $hard (printf "requests.%s" $name) (toString $most) -}}{{- end -}}
{{- toYaml $hard -}}
{{- end }}

{{/* The image of a component: (list $ values). */}}
{{- define "platform.image" -}}
{{- $root := index . 0 -}}
{{- include "fairlead.image" (dict "image" (merge (dict "registry" $root.Values.imageRegistry) (index . 1).image) "tag" $root.Chart.AppVersion) -}}
{{- end }}

{{/* The name of the control plane's ServiceAccount. */}}
{{- define "platform.serviceAccount" -}}
{{ .Values.controlPlane.serviceAccount.name | default (include "platform.name" (list . "control-plane")) }}
{{- end }}

{{/* The control plane's host name inside the cluster. With the dot at the end resolvers do not try their search list. */}}
{{- define "platform.controlPlaneHost" -}}
{{ include "platform.name" (list . "control-plane") }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}.
{{- end }}

{{/* Fails if clients come with a host that the gateways do not answer for: (list $ key-below-gateway hosts). */}}
{{- define "platform.checkHosts" -}}
{{- $root := index . 0 -}}{{- $key := index . 1 -}}{{- $answered := $root.Values.gateway.hosts -}}
{{- range $index, $host := index . 2 -}}
{{- $found := or (empty $answered) (has "*" $answered) (has $host $answered) -}}
{{- range $answered -}}
{{- if and (hasPrefix "*." .) (hasSuffix (trimPrefix "*" .) $host) -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- $at := include "fairlead.at" $root -}}
{{- fail (printf "%sgateway.%s[%d]: %q is not in %sgateway.hosts, so its requests would get 421; add it there" $at $key $index $host $at) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What gateways record of requests, as JSON; empty if they record nothing. */}}
{{- define "platform.requestRecords" -}}
{{- $records := dict "accessLog" .Values.gateway.accessLog }}
{{- with .Values.gateway.tracing }}
{{- if .endpoint }}{{ $_ := set $records "tracing" . }}{{ end }}
{{- end }}
{{- if or $records.tracing (ne $records.accessLog "none") }}{{ toJson $records }}{{ end }}
{{- end }}

{{/* The metric settings of the control plane as JSON; empty if there is no Prometheus. */}}
{{- define "platform.metrics" -}}
{{- $settings := .Values.prometheus }}
{{- if $settings.url }}
{{- $job := printf "job=%q" (printf "%s/%s" .Release.Namespace (include "platform.name" (list . "gateway"))) }}
{{- $prometheus := dict "url" $settings.url "selector" ($settings.selector | default $job) "gatewayLabel" $settings.gatewayLabel }}
{{- $prometheus = merge $prometheus (dict "scrapeInterval" ($settings.scrapeInterval | default .Values.podMonitor.interval) "timeout" $settings.timeout) }}
{{- $prometheus = merge $prometheus (dict "bearerTokenFile" $settings.bearerTokenFile "caFile" $settings.caFile) }}
{{- dict "source" .Values.metricSource "prometheus" $prometheus | toJson }}
{{- else if eq .Values.metricSource "prometheus" }}
{{- fail (printf "%sprometheus.url: is empty, but metricSource is prometheus; set the URL of the Prometheus" (include "fairlead.at" .)) }}
{{- end }}
{{- end }}

{{/* What the chart sets in the environment of the control plane. The argument is the root. */}}
{{- define "platform.controlPlaneEnvironment" -}}
- {name: FAIRLEAD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
{{- with include "platform.namespaces" . }}
- {name: FAIRLEAD_NAMESPACES, value: {{ . | quote }}}
{{- end }}
- {name: FAIRLEAD_RELEASE, value: {{ .Release.Name | quote }}}
- {name: FAIRLEAD_CLUSTER_DOMAIN, value: {{ .Values.clusterDomain | quote }}}
- {name: FAIRLEAD_GATEWAY_PORT, value: {{ int .Values.gateway.service.port | quote }}}
- {name: FAIRLEAD_MAX_REQUEST_BYTES, value: {{ int64 .Values.gateway.maxRequestBytes | quote }}}
- {name: FAIRLEAD_RECEIVE_SECONDS, value: {{ int .Values.gateway.receiveSeconds | quote }}}
- {name: FAIRLEAD_HOSTS, value: {{ join "," .Values.gateway.hosts | quote }}}
- {name: FAIRLEAD_GRPC, value: {{ .Values.gateway.grpc | quote }}}
- {name: FAIRLEAD_CHECK_GATEWAY_TOKENS, value: {{ .Values.controlPlane.checkGatewayTokens | quote }}}
- {name: FAIRLEAD_CORS_ORIGINS, value: {{ join "," .Values.gateway.corsOrigins | quote }}}
{{- with .Values.gateway.auth }}
{{- if .secretName }}
- {name: FAIRLEAD_ACCESS_FILE, value: {{ printf "/etc/fairlead/access/%s" .secretKey | quote }}}
{{- end }}
{{- end }}
{{- if include "platform.entrySecret" . }}
- {name: FAIRLEAD_ENTRY_TLS_PORT, value: {{ int .Values.gateway.tls.port | quote }}}
- {name: FAIRLEAD_ENTRY_PLAIN, value: {{ .Values.gateway.tls.plain | quote }}}
- {name: FAIRLEAD_ENTRY_CLIENT_CA, value: {{ ne .Values.gateway.tls.clientCA "" | quote }}}
{{- end }}
{{- if eq (include "platform.tlsToModels" .) "true" }}
- {name: FAIRLEAD_TLS, value: /etc/fairlead/tls}
{{- end }}
{{- if include "platform.tlsSecret" (list . "control-plane") }}
# Also with off: gateways that were started with both have the port until they are replaced.
- {name: FAIRLEAD_GATEWAY_TLS, value: /etc/fairlead/tls}
- {name: FAIRLEAD_GATEWAY_ALSO_PLAIN, value: {{ ne (include "platform.tlsControlPlane" .) "only" | quote }}}
{{- end }}
{{- with include "platform.metrics" . }}
- {name: FAIRLEAD_METRICS, value: {{ . | quote }}}
{{- end }}
{{- with include "platform.requestRecords" . }}
- {name: FAIRLEAD_REQUEST_RECORDS, value: {{ . | quote }}}
{{- end }}
{{- end }}

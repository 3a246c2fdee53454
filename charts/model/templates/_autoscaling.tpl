{{/* The path of the values of a version's autoscaler, for messages: (list $ $version). */}}
{{- define "model.scalingPath" -}}
{{ printf "%s.autoscaling" (include "model.podPath" (list (index . 0) (index . 1) "autoscaling")) }}
{{- end }}

{{/*
The targets of a version, in the order in which an autoscaler gets them: (list $ $version). `targets` is a list; each has
`name`, `series` (a recorded series, without selector), `type` (AverageValue: the series is divided by the pods; Value: it
is compared as it is) and `value`, a text.
*/}}
{{- define "model.targets" -}}
{{- $version := index . 1 -}}
{{- $scaling := $version.workload.autoscaling -}}
{{- $at := include "model.scalingPath" . -}}
{{- $inFlight := $scaling.target.inFlight -}}
{{- if and (kindIs "invalid" $inFlight) (eq $scaling.kind "keda") -}}
{{- $workers := $version.workload.serving.workers | default 1 -}}
{{- if kindIs "string" $workers -}}
{{- fail (printf "%s.target.inFlight: is null, and with serving.workers: %s the chart does not know how many workers a pod has; write the requests in flight for which one pod is enough, which fairlead calibrate measures" $at $workers) -}}
{{- end -}}
{{- $inFlight = mul 2 (int $version.workload.serving.threads) (int $workers) -}}
{{- end -}}
{{- $every := list
  (dict "name" "inFlight" "type" "AverageValue" "series" "in_flight:avg" "value" $inFlight)
  (dict "name" "requestsPerSecond" "type" "AverageValue" "series" "requests:rate" "value" $scaling.target.requestsPerSecond)
  (dict "name" "queue" "type" "Value" "series" "queue_seconds:p95_" "value" $scaling.target.queue)
  (dict "name" "p95" "type" "Value" "series" "latency_seconds:p95_" "value" $scaling.target.p95) -}}
{{- $used := list -}}
{{- range $every -}}
{{- if .value -}}
{{- if eq .type "Value" -}}
{{- $seconds := include "fairlead.seconds" .value -}}
{{- if eq (float64 $seconds) 0.0 -}}
{{- fail (printf "%s.target.%s: is %s, which no request can stay below; write a longer time, or \"\" for no such target" $at .name .value) -}}
{{- end -}}
{{- /* An autoscaler leaves 10 % above a target alone, and the last bucket of the histograms ends at 10 s. */ -}}
{{- if gt (float64 $seconds) 9.0 -}}
{{- fail (printf "%s.target.%s: is %s, and no time above 10s is measured, so this target would never add a pod; write 9s or less, or \"\" for no such target" $at .name .value) -}}
{{- end -}}
{{- $_ := set . "value" $seconds -}}
{{- else if lt (float64 .value) 0.001 -}}
{{- fail (printf "%s.target.%s: is %v, and Kubernetes and KEDA count in thousandths; write 0.001 or more, or 0 for no such target" $at .name .value) -}}
{{- end -}}
{{- $_ := set . "value" (toString .value) -}}
{{- $_ := set . "series" (printf "model_version:fairlead_scaling_%s%s" .series $scaling.prometheus.window) -}}
{{- $used = append $used . -}}
{{- end -}}
{{- end -}}
{{ dict "targets" $used | toYaml }}
{{- end }}

{{/* The metrics of a HorizontalPodAutoscaler, in the format of autoscaling/v2, below `metrics`: (list $ $version). */}}
{{- define "model.metrics" -}}
{{- $scaling := (index . 1).workload.autoscaling -}}
{{- $compared := (include "model.targets" . | fromYaml).targets -}}
{{- if and $compared $scaling.wanted -}}
{{- $compared = append $compared (dict "type" "AverageValue" "series" "model_version:fairlead_scaling_wanted:max" "value" "1") -}}
{{- end -}}
{{- $selector := dict "matchLabels" (dict "model" (include "model.name" (index . 0)) "version" (index . 1).version) -}}
{{- $metrics := list -}}
{{- range $compared -}}
{{- $target := dict "type" .type (ternary "averageValue" "value" (eq .type "AverageValue")) .value -}}
{{- $metrics = append $metrics (dict "type" "External" "external" (dict "metric" (dict "name" .series "selector" $selector) "target" $target)) -}}
{{- end -}}
{{ dict "metrics" (concat $metrics $scaling.metrics) | toYaml }}
{{- end }}

{{/* The triggers of a ScaledObject, below `triggers`: (list $ $version). */}}
{{- define "model.triggers" -}}
{{- $root := index . 0 -}}{{- $version := index . 1 -}}
{{- $scaling := $version.workload.autoscaling -}}
{{- $prometheus := $scaling.prometheus -}}
{{- $at := include "model.scalingPath" . -}}
{{- $model := include "model.name" $root -}}
{{- $triggers := list -}}
{{- range $key, $_ := $prometheus.metadata -}}
{{- if has $key (list "query" "threshold" "serverAddress" "ignoreNullValues") -}}
{{- fail (printf "%s.prometheus.metadata.%s: the chart itself writes this setting; remove it, and use triggers for a query of your own" $at $key) -}}
{{- end -}}
{{- end -}}
{{- range (include "model.targets" . | fromYaml).targets -}}
{{- if not $prometheus.serverAddress -}}
{{- fail (printf "%s.prometheus.serverAddress: is empty, but target.%s is read from Prometheus; set the URL of the Prometheus that has the platform's recording rules: http://prometheus.monitoring:9090" $at .name) -}}
{{- end -}}
{{- $series := printf "%s{namespace=%q,model=%q,version=%q}" .series $root.Release.Namespace $model $version.version -}}
{{- $query := dict "query" $series "threshold" .value -}}
{{- if eq .type "Value" -}}
{{- /* How far it is above its target, at most twice; 0 below it, so that it only ever adds pods. */ -}}
{{- $query = dict "query" (printf "clamp_max((%s > %s) / %s, 2) or 0 * %s" $series .value .value $series) "threshold" "1" -}}
{{- end -}}
{{- $metadata := merge $query (dict "serverAddress" $prometheus.serverAddress "ignoreNullValues" "false") $prometheus.metadata -}}
{{- $trigger := dict "type" "prometheus" "name" .name "metricType" .type "metadata" $metadata -}}
{{- with $prometheus.authenticationRef -}}{{- $_ := set $trigger "authenticationRef" . -}}{{- end -}}
{{- $triggers = append $triggers $trigger -}}
{{- end -}}
{{- if $scaling.wanted -}}
{{- /* From the control plane itself, so that a rollout goes on without Prometheus. */ -}}
{{- $metadata := dict "url" (include "model.wantedUrl" .) "valueLocation" "wanted" "targetValue" "1" -}}
{{- $triggers = append $triggers (dict "type" "metrics-api" "name" "wanted" "metricType" "AverageValue" "metadata" $metadata) -}}
{{- end -}}
{{- $triggers = concat $triggers $scaling.triggers -}}
{{- if not $triggers -}}
{{- fail (printf "%s.kind: is keda, but there is nothing to scale by; set a target, wanted or triggers" $at) -}}
{{- end -}}
{{ dict "triggers" $triggers | toYaml }}
{{- end }}

{{/* Where the control plane says how many instances the rollout wants of a version: (list $ $version). */}}
{{- define "model.wantedUrl" -}}
{{- $values := (index . 0).Values -}}
{{- $host := printf "%s-control-plane.%s.svc.%s" $values.platform.release ($values.platform.namespace | default (index . 0).Release.Namespace) $values.clusterDomain -}}
{{ printf "http://%s:8081/models/%s/versions/%s/wanted" $host (include "model.name" (index . 0)) (index . 1).identity }}
{{- end }}

{{/* The fallback of a ScaledObject: (list $ $version). */}}
{{- define "model.fallback" -}}
{{- $pod := (index . 1).workload -}}
{{- $scaling := $pod.autoscaling -}}
{{- $fewest := ternary $pod.instances $scaling.fallback.instances (kindIs "invalid" $scaling.fallback.instances) | int -}}
{{- if gt $fewest (int $scaling.maxInstances) -}}
{{- fail (printf "%s.fallback.instances: %d is more than maxInstances, %d; lower it" (include "model.scalingPath" .) $fewest (int $scaling.maxInstances)) -}}
{{- end -}}
{behavior: currentReplicasIfHigher, failureThreshold: {{ int $scaling.fallback.failureThreshold }}, replicas: {{ $fewest }}}
{{- end }}

{{/* "true" if a version with `kind: keda` gets a ScaledObject: (list $ $version). */}}
{{- define "model.rendersKeda" -}}
{{- include "fairlead.renders" (dict "root" (index . 0) "mode" (index . 1).workload.autoscaling.renderMode "api" "keda.sh/v1alpha1/ScaledObject" "at" (printf "%s.renderMode" (include "model.scalingPath" .))) }}
{{- end }}

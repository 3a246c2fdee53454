{{/* The model's name. Models of one umbrella chart share the name of its release, so there each needs its own. */}}
{{- define "model.name" -}}
{{- $name := .Values.model | default .Release.Name -}}
{{- if and (not .Values.model) (not .Chart.IsRoot) (ne .Chart.Name "fairlead-model") -}}
{{- fail (printf "%s.model: is empty, and all models of an umbrella chart would get the name of its release, %s; set it: %s: {model: %s}" .Chart.Name .Release.Name .Chart.Name .Chart.Name) -}}
{{- end -}}
{{- if not (or .Values.model (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $name)) -}}
{{- fail (printf "%smodel: is empty, and the name of the release, %q, is not a model name, which has lower-case letters, digits and \"-\", at most 40; set it: model: iris" (include "fairlead.at" .) $name) -}}
{{- end -}}
{{ $name }}
{{- end }}

{{/*
Fails if two models of an umbrella chart have one name: their objects would have the same names. A chart does not see the
values of its siblings, but Helm gives all charts the same map .Release, so each writes its model there.
*/}}
{{- define "model.checkIsOnly" -}}
{{- $model := include "model.name" . -}}
{{- $all := get .Release "fairleadModels" | default dict -}}
{{- $other := get $all $model | default (dict "place" .Template.BasePath) -}}
{{- if ne $other.place .Template.BasePath -}}
{{- fail (printf "%smodel: %q is also the model of %s; give each model of a release a name of its own, because the objects of both would have the same names" (include "fairlead.at" .) $model $other.name) -}}
{{- end -}}
{{- $_ := set $all $model (dict "place" .Template.BasePath "name" .Chart.Name) -}}
{{- $_ := set .Release "fairleadModels" $all -}}
{{- end }}

{{/* Fails on values that the schema allows but that contradict each other. */}}
{{- define "model.check" -}}
{{- $at := include "fairlead.at" . -}}
{{- include "model.checkIsOnly" . -}}
{{- if not .Values.versions -}}
{{- fail (printf "%sversions: is empty; add at least one: versions: {\"1.0.0\": {image: {digest: sha256:...}}}" $at) -}}
{{- end -}}
{{- $known := keys .Values.versions | sortAlpha | join ", " -}}
{{- if not .Values.target -}}
{{- fail (printf "%starget: is empty; set it to one of versions: %s" $at $known) -}}
{{- end -}}
{{- if not (hasKey .Values.versions .Values.target) -}}
{{- fail (printf "%starget: %q is not one of versions: %s%s" $at .Values.target $known (include "model.quotesHint" .)) -}}
{{- end -}}
{{- $mirrored := list -}}
{{- range $index, $mirror := .Values.mirrors -}}
{{- if not (hasKey $.Values.versions $mirror.version) -}}
{{- fail (printf "%smirrors[%d].version: %q is not one of versions: %s" $at $index $mirror.version $known) -}}
{{- end -}}
{{- if has $mirror.version $mirrored -}}
{{- fail (printf "%smirrors[%d].version: %q is there twice; write it once, with the sum of both shares" $at $index $mirror.version) -}}
{{- end -}}
{{- $mirrored = append $mirrored $mirror.version -}}
{{- end -}}
{{- $header := dig "header" "" (.Values.sticky | default dict) -}}
{{- if or (hasPrefix "x-envoy-" $header) (has $header (list "x-request-id" "x-client-request-id" "x-shadow-of" "x-keep-answer" "x-route-revision" "x-forwarded-prefix" "x-model-version" "x-routed-version")) -}}
{{- fail (printf "%ssticky.header: the gateway sets %s itself, differently in each request; name a header that clients send, such as x-user-id" $at $header) -}}
{{- end -}}
{{- $request := include "fairlead.seconds" .Values.timeouts.request | float64 -}}
{{- with .Values.timeouts.perTry -}}
{{- if gt (include "fairlead.seconds" . | float64) $request -}}
{{- fail (printf "%stimeouts.perTry: %s is more than timeouts.request, %s; lower it" $at . $.Values.timeouts.request) -}}
{{- end -}}
{{- end -}}
{{- if lt (include "fairlead.seconds" .Values.scaleToZero.after | float64) 1.0 -}}
{{- fail (printf "%sscaleToZero.after: %s is less than 1s; raise it" $at .Values.scaleToZero.after) -}}
{{- end -}}
{{- $wait := include "fairlead.seconds" .Values.scaleToZero.wait | float64 -}}
{{- if or (le $wait 0.0) (gt $wait 600.0) -}}
{{- fail (printf "%sscaleToZero.wait: %s is not above 0 and at most 10m; change it" $at .Values.scaleToZero.wait) -}}
{{- end -}}
{{- $shares := dict -}}{{- include "model.shares" (list . $shares) -}}
{{- $weight := 0 -}}
{{- range $index, $step := $shares.strategy.steps -}}
{{- if le (int $step.weight) $weight -}}
{{- fail (printf "%sstrategy.steps[%d].weight: %d is not above the step before (%d); steps must rise" $at $index (int $step.weight) $weight) -}}
{{- end -}}
{{- $weight = int $step.weight -}}
{{- end -}}
{{- end }}

{{/*
Fills a given dictionary with `strategy` and `mirrors` of the values, with each weight and share as a number of 1/10,000:
10% is 1000. Arguments: the context, the dictionary.
*/}}
{{- define "model.shares" -}}
{{- $values := (index . 0).Values -}}{{- $found := index . 1 -}}
{{- $_ := set $found "strategy" (deepCopy $values.strategy) -}}
{{- $_ := set $found "mirrors" (deepCopy $values.mirrors) -}}
{{- $written := list (list "strategy.steps" "weight" $found.strategy.steps) (list "mirrors" "share" $found.mirrors) -}}
{{- with $found.strategy.shadow -}}{{- $written = append $written (list "strategy.shadow" "share" (list .)) -}}{{- end -}}
{{- $at := include "fairlead.at" (index . 0) -}}
{{- range $written -}}
{{- $path := index . 0 -}}{{- $noun := index . 1 -}}
{{- range index . 2 -}}
{{- $text := get . $noun | toString -}}
{{- if hasSuffix "%" $text -}}
{{- $share := round (mulf (trimSuffix "%" $text | trim | float64) 100.0) 0 | int -}}
{{- if or (lt $share 1) (gt $share 10000) -}}
{{- fail (printf "%s%s: %s %s is not between 0.01%% and 100%%" $at $path $noun $text) -}}
{{- end -}}
{{- $_ := set . $noun $share -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
A line for each list with a weight or share below 1 %, about the first in it, because Argo's weights are in percent. The
sentences are those of services/fairlead/rollout/policy/small_shares.py.
*/}}
{{- define "model.smallShares" -}}
{{- $at := include "fairlead.at" . -}}
{{- $shares := dict -}}{{- include "model.shares" (list . $shares) -}}
{{- $lists := list (list "strategy.steps" "weight" $shares.strategy.steps) -}}
{{- with $shares.strategy.shadow -}}
{{- $lists = append $lists (list "strategy.shadow" "share" (list (dict "share" (get . "share" | default 10000)))) -}}
{{- end -}}
{{- $lists = append $lists (list "mirrors" "share" $shares.mirrors) -}}
{{- range $lists -}}
{{- $path := index . 0 -}}{{- $noun := index . 1 -}}{{- $small := 0 -}}
{{- range index . 2 -}}
{{- $value := int (get . $noun | default 10000) -}}
{{- if and (not $small) (lt $value 100) -}}{{- $small = $value -}}{{- end -}}
{{- end -}}
{{- if $small }}
{{ printf "%s%s: %s %d is %v %% (%ss are in 1/10,000); %d %% is %d" $at $path $noun $small (divf $small 100) $noun $small (mul $small 100) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What to do if the target is missing from `versions` only because YAML reads a key there as a number: 1.10 is 1.1. */}}
{{- define "model.quotesHint" -}}
{{- $number := "^[0-9][0-9_]*(\\.[0-9]*)?(e[0-9]+)?$" -}}
{{- if regexMatch $number .Values.target -}}
{{- range keys .Values.versions | sortAlpha -}}
{{- if and (regexMatch $number .) (eq (float64 .) (float64 (replace "_" "" $.Values.target))) -}}
{{ printf "; write %q in quotes in versions: without them YAML reads it as the number %s" $.Values.target . }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Fails on additional ports that the pod has already: (list ports path-of-the-values has-tls). */}}
{{- define "model.checkPorts" -}}
{{- $at := index . 1 -}}
{{- $tls := ternary (list "TCP 8443") list (index . 2) -}}
{{- $names := concat (list "http") (ternary (list "https") list (index . 2)) -}}
{{- $ports := concat (list "TCP 8080") $tls -}}
{{- $servicePorts := concat (list "TCP 8080") $tls -}}
{{- range $index, $port := index . 0 -}}
{{- $protocol := $port.protocol | default "TCP" -}}
{{- $number := printf "%s %d" $protocol (int $port.port) -}}
{{- $served := printf "%s %d" $protocol (int ($port.servicePort | default $port.port)) -}}
{{- if not (regexMatch "[a-z]" $port.name) -}}
{{- fail (printf "%s.extraPorts[%d].name: %q has no letter, and the name of a port needs one; write for example p%s" $at $index $port.name $port.name) -}}
{{- end -}}
{{- if has $port.name $names -}}
{{- fail (printf "%s.extraPorts[%d].name: %q is taken; the model service's own port is http" $at $index $port.name) -}}
{{- end -}}
{{- if has $number $ports -}}
{{- fail (printf "%s.extraPorts[%d].port: %s is taken; the model service listens on 8080" $at $index $number) -}}
{{- end -}}
{{- if has $served $servicePorts -}}
{{- fail (printf "%s.extraPorts[%d].servicePort: %s is taken; the Service's port of the model is 8080" $at $index $served) -}}
{{- end -}}
{{- $names = append $names $port.name -}}
{{- $ports = append $ports $number -}}
{{- $servicePorts = append $servicePorts $served -}}
{{- end -}}
{{- end }}

{{/* Fails on settings of TLS that would leave a gap: (list $ workload). */}}
{{- define "model.checkTls" -}}
{{- $tls := (index . 0).Values.tls -}}{{- $at := include "fairlead.at" (index . 0) -}}
{{- if and $tls.alsoPlain (not $tls.secretName) -}}
{{- fail (printf "%stls.alsoPlain: is true, but tls.secretName is empty, so there is no TLS; set it, or remove alsoPlain" $at) -}}
{{- end -}}
{{- if and $tls.secretName (index . 1).serving.grpcPort -}}
{{- fail (printf "%stls.secretName: gRPC has no TLS; leave serving.grpcPort out, or tls.secretName" $at) -}}
{{- end -}}
{{- end }}

{{/* Adds the port of gRPC to the additional ports, unless it is among them: (list workload path-of-the-values). */}}
{{- define "model.addGrpc" -}}
{{- $workload := index . 0 -}}
{{- $given := $workload.extraPorts -}}
{{- with $workload.serving.grpcPort -}}
{{- if $workload.serving.workers -}}
{{- fail (printf "%s.serving.grpcPort: gRPC needs one process in each pod; leave workers out, or grpcPort" (index $ 1)) -}}
{{- end -}}
{{- $port := int . -}}
{{- $isGiven := false -}}
{{- range $given -}}{{- if eq (int .port) $port -}}{{- $isGiven = true -}}{{- end -}}{{- end -}}
{{- if not $isGiven -}}
{{- $_ := set $workload "extraPorts" (append $given (dict "name" "grpc" "port" $port)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Computes the settings of one version and writes them into the dict $into: (list $ version $into). Afterwards $into has
version, image, artifact, identity, name, namespace, source, folder, workload, selector, resources (of the model's
container), gpu (if it has one), and for messages at (the path of its values) and overrides.
*/}}
{{- define "model.version" -}}
{{- $root := index . 0 -}}{{- $version := index . 1 -}}{{- $into := index . 2 -}}
{{- $given := get $root.Values.versions $version | default dict -}}
{{- $path := include "fairlead.at" $root -}}
{{- $at := printf "%sversions.%s" $path $version -}}
{{- $model := include "model.name" $root -}}
{{- $image := deepCopy $root.Values.image -}}
{{- include "fairlead.overlay" (list $image ($given.image | default dict)) -}}
{{- if and $image.requireDigest (not $image.digest) -}}
{{- fail (printf "%s.image.digest: is empty, but image.requireDigest is on; set the digest" $at) -}}
{{- end -}}
{{- $reference := include "fairlead.image" (dict "image" $image "repository" (printf "fairlead/model-%s" $model) "tag" $version) -}}
{{- include "model.source" (list $root $given $into $at) -}}
{{- $workload := deepCopy $root.Values.workload -}}
{{- include "fairlead.overlay" (list $workload ($given.overrides | default dict)) -}}
{{- $request := $root.Values.timeouts.request -}}
{{- if lt (float64 $workload.drain.requestSeconds) (include "fairlead.seconds" $request | float64) -}}
{{- fail (printf "%sworkload.drain.requestSeconds: %d is less than timeouts.request, %s: pods of %s would be stopped before they have answered; raise it" $path (int $workload.drain.requestSeconds) $request $version) -}}
{{- end -}}
{{- if and (gt (include "fairlead.seconds" $request | float64) 60.0) (not $workload.serving.callTimeoutS) -}}
{{- $_ := set $into "callTimeout" (include "fairlead.seconds" $request) -}}
{{- end -}}
{{- $_ := set $into "at" $at -}}
{{- $_ := set $into "overrides" ($given.overrides | default dict) -}}
{{- include "model.addGrpc" (list $workload (include "model.podPath" (list $root $into "serving"))) -}}
{{- include "model.checkTls" (list $root $workload) -}}
{{- include "model.checkPorts" (list $workload.extraPorts (include "model.podPath" (list $root $into "extraPorts")) (not (empty $root.Values.tls.secretName))) -}}
{{- $identity := include "fairlead.identity" (list $version $reference $into.artifact) -}}
{{- $_ := set $into "version" $version -}}
{{- $_ := set $into "image" $reference -}}
{{- $_ := set $into "pullPolicy" $image.pullPolicy -}}
{{- $_ := set $into "identity" $identity -}}
{{- $_ := set $into "name" (printf "%s-%s" $model $identity) -}}
{{- $_ := set $into "namespace" $root.Release.Namespace -}}
{{- $_ := set $into "workload" $workload -}}
{{- if and (not (kindIs "invalid" $workload.minInstances)) (ne $workload.autoscaling.kind "managed") -}}
{{- $other := "an autoscaler also writes the number of pods, and would start them again" -}}
{{- if eq $workload.autoscaling.kind "none" -}}{{- $other = "nothing stops the pods and starts them again" -}}{{- end -}}
{{- fail (printf "%s.minInstances: is 0, and with autoscaling.kind: %s %s; set autoscaling.kind: managed, or remove minInstances" (include "model.podPath" (list $root $into "minInstances")) $workload.autoscaling.kind $other) -}}
{{- end -}}
{{- include "model.gpu" (list $root $into) -}}
{{- $_ := set $into "selector" (dict "app.kubernetes.io/component" "model" "fairlead.dev/model" $model "fairlead.dev/identity" $identity) -}}
{{- end }}

{{/* The path of the values from which a version has this key of its pods, for messages: (list $ $version key). */}}
{{- define "model.podPath" -}}
{{- $version := index . 1 -}}
{{ ternary (printf "%s.overrides" $version.at) (printf "%sworkload" (include "fairlead.at" (index . 0))) (hasKey $version.overrides (index . 2)) }}
{{- end }}

{{/* Labels of the objects that exist once per model. */}}
{{- define "model.labels" -}}
{{- $name := include "model.name" . -}}
{{- include "fairlead.labels" (dict "root" . "name" $name "component" "model" "more" (dict "fairlead.dev/model" $name "fairlead.dev/route" $name)) }}
{{- end }}

{{/* The arguments of fairlead.labels for the objects of a version: (list $ $version). */}}
{{- define "model.versionArguments" -}}
{{- $name := include "model.name" (index . 0) -}}{{- $version := index . 1 -}}
{{- dict "name" $name "component" "model" "version" $version.version "more" (dict
  "fairlead.dev/model" $name
  "fairlead.dev/route" $name
  "fairlead.dev/version" $version.version
  "fairlead.dev/identity" $version.identity) | toYaml }}
{{- end }}

{{/* Labels of a version's objects: (list $ $version). */}}
{{- define "model.versionLabels" -}}
{{- include "fairlead.labels" (merge (dict "root" (index . 0)) (include "model.versionArguments" . | fromYaml)) }}
{{- end }}

{{/* Labels of a version's pods: (list $ $version). */}}
{{- define "model.versionPodLabels" -}}
{{- $version := index . 1 -}}
{{- $arguments := include "model.versionArguments" . | fromYaml -}}
{{- $_ := set $arguments.more "fairlead.dev/source" $version.source.kind -}}
{{- if not (index . 0).Values.networkPolicy.enabled -}}
{{- $_ := set $arguments.more "fairlead.dev/network" "open" -}}
{{- end -}}
{{- include "fairlead.podLabels" (merge (dict "root" (index . 0) "labels" $version.workload.podLabels) $arguments) }}
{{- end }}

{{/*
Annotations that keep a version's objects after its entry in `versions` is removed: while the version serves, neither Helm
nor Argo CD may delete them. The control plane makes the ModelRoute their owner. It deletes the objects of a version that
left the spec when no gateway sends it requests any more and the rollback window is over.
*/}}
{{- define "model.kept" -}}
{{- include "model.keptWith" (list . dict) }}
{{- end }}

{{/* The same with more annotations: (list $ more). */}}
{{- define "model.keptWith" -}}
{{- include "fairlead.annotations" (dict "root" (index . 0) "more" (merge (index . 1) (dict
  "helm.sh/resource-policy" "keep"
  "argocd.argoproj.io/sync-options" "Prune=false"
  "argocd.argoproj.io/compare-options" "IgnoreExtraneous"))) }}
{{- end }}

{{/* The name of the pods' ServiceAccount. */}}
{{- define "model.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "model.name" .) }}
{{- end }}

{{/* The gateway's host name inside the cluster. */}}
{{- define "model.gateway" -}}
{{ .Values.platform.release }}-gateway.{{ .Values.platform.namespace | default .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

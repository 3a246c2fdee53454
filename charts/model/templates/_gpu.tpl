{{/*
Writes what the GPU pool of a version means into its settings: (list $ $version). The pool's data (pools/*.yaml, and
gpu.custom on top) becomes requirements on the nodes, tolerations, and what else `workload` has; so nothing after this
knows of pools but `resources`, which only the model's container gets: init containers need no GPU.
*/}}
{{- define "model.gpu" -}}
{{- $root := index . 0 -}}{{- $version := index . 1 -}}
{{- $workload := $version.workload -}}{{- $gpu := $workload.gpu -}}
{{- $at := printf "%s.gpu" (include "model.podPath" (list $root $version "gpu")) -}}
{{- $resources := deepCopy $workload.resources -}}
{{- $_ := set $version "resources" $resources -}}
{{- if not $gpu.pool -}}
{{- range $name := list "product" "memory" "slice" "capacity" "nodePool" "runtimeClass" "zones" "custom" -}}
{{- if get $gpu $name -}}
{{- fail (printf "%s.%s: is set, but %s.pool is empty, so the pods get no GPU; set pool to one of %s" $at $name $at (include "model.gpuPools" $root)) -}}
{{- end -}}
{{- end -}}
{{- if ne (int $gpu.count) 1 -}}
{{- fail (printf "%s.count: is %d, but %s.pool is empty, so the pods get no GPU; set pool to one of %s" $at (int $gpu.count) $at (include "model.gpuPools" $root)) -}}
{{- end -}}
{{- else -}}
{{- $preset := dict -}}{{- include "model.gpuPreset" (list $root $gpu $at $preset) -}}
{{- $claim := dict -}}
{{- $slice := dict -}}
{{- if eq $gpu.mode "dra" -}}
{{- include "model.gpuClaim" (list $root $gpu $at $preset $claim) -}}
{{- else -}}
{{- include "model.gpuSlice" (list $gpu $at $preset $slice) -}}
{{- end -}}
{{- $requires := concat (list) ($preset.requires | default list) ($slice.requires | default list) -}}
{{- $tolerations := concat $workload.tolerations ($preset.tolerations | default list) -}}
{{- with $gpu.capacity -}}
{{- $capacity := get ($preset.capacity | default dict) . -}}
{{- if not $capacity -}}
{{- fail (printf "%s.capacity: the pool %s does not tell %s nodes from others; remove it, and select the nodes with workload.nodeSelector, or say how they are labelled in %s.custom.capacity.%s" $at $gpu.pool . $at .) -}}
{{- end -}}
{{- $requires = concat $requires ($capacity.requires | default list) -}}
{{- $tolerations = concat $tolerations ($capacity.tolerations | default list) -}}
{{- end -}}
{{- if not $claim -}}
{{- with include "model.gpuProducts" (list $gpu $at $preset $slice) | fromJsonArray -}}
{{- $requires = append $requires (dict "key" $preset.product.label "operator" "In" "values" .) -}}
{{- end -}}
{{- end -}}
{{- with ternary "" $gpu.memory (not (empty $claim)) -}}
{{- if not (dig "memory" "label" "" $preset) -}}
{{- fail (printf "%s.memory: nodes of the pool %s have no label with the memory of a GPU; remove it and name the GPU with %s.product" $at $gpu.pool $at) -}}
{{- end -}}
{{- $least := div (include "fairlead.bytes" . | int64) 1048576 -}}
{{- if lt $least 1024 -}}
{{- fail (printf "%s.memory: %v is less than one GiB; write the memory of a GPU with its unit, such as 24Gi" $at .) -}}
{{- end -}}
{{- $requires = append $requires (dict "key" $preset.memory.label "operator" "Gt" "values" (list (sub $least 1 | toString))) -}}
{{- end -}}
{{- with $gpu.nodePool -}}
{{- if not (dig "nodePool" "label" "" $preset) -}}
{{- fail (printf "%s.nodePool: nodes of the pool %s have no label with the name of their node pool; remove it and select them with workload.nodeSelector, or name the label in %s.custom.nodePool.label" $at $gpu.pool $at) -}}
{{- end -}}
{{- $requires = append $requires (dict "key" $preset.nodePool.label "operator" "In" "values" (list .)) -}}
{{- end -}}
{{- with $gpu.zones -}}
{{- $requires = append $requires (dict "key" "topology.kubernetes.io/zone" "operator" "In" "values" .) -}}
{{- end -}}
{{- $resource := $slice.resource | default $preset.resource | default "nvidia.com/gpu" -}}
{{- range list "limits" "requests" -}}
{{- if hasKey (get $workload.resources . | default dict) $resource -}}
{{- fail (printf "%s: asks for %s, and so does resources.%s; remove it there" $at $resource .) -}}
{{- end -}}
{{- end -}}
{{- if $claim -}}
{{- $name := printf "%s-gpu-%s" (include "model.name" $root) ($claim | toJson | sha256sum | trunc 8) -}}
{{- $_ := set $resources "claims" (append ($resources.claims | default list) (dict "name" "gpu")) -}}
{{- $_ := set $version "gpu" (dict "resource" $resource "claim" $claim "template" $name) -}}
{{- else -}}
{{- $_ := set $resources "limits" (merge (dict $resource (int $gpu.count)) ($resources.limits | default dict)) -}}
{{- $_ := set $version "gpu" (dict "resource" $resource) -}}
{{- end -}}
{{- $_ := set $workload "tolerations" $tolerations -}}
{{- $_ := set $workload "affinity" (include "model.onNodes" (list $workload.affinity $requires) | fromYaml) -}}
{{- $_ := set $workload "runtimeClassName" ($workload.runtimeClassName | default $gpu.runtimeClass | default $preset.runtimeClass) -}}
{{- if kindIs "invalid" $workload.serving.device -}}{{- $_ := set $workload.serving "device" "cuda" -}}{{- end -}}
{{- /* Libraries that use several GPUs exchange data through /dev/shm, and the 64 MiB of a runtime are too few. */ -}}
{{- if gt (int $gpu.count) 1 -}}{{- $_ := set $workload "sharedMemory" ($workload.sharedMemory | default "1Gi") -}}{{- end -}}
{{- end -}}
{{- end }}

{{/*
Fills the dictionary $into with the request of a ResourceClaim for a GPU, by the attributes that NVIDIA's DRA driver
publishes: (list $ gpu path-of-gpu preset $into). Names of products are those of the labels with spaces instead of
hyphens, and those that NVIDIA writes with hyphens keep them; so both are compared with hyphens.
*/}}
{{- define "model.gpuClaim" -}}
{{- $root := index . 0 -}}{{- $gpu := index . 1 -}}{{- $at := index . 2 -}}{{- $preset := index . 3 -}}{{- $into := index . 4 -}}
{{- if semverCompare "<1.34-0" $root.Capabilities.KubeVersion.Version -}}
{{- fail (printf "%s.mode: is dra, which needs Kubernetes 1.34, and the cluster has %s; write mode: device-plugin" $at $root.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if has $gpu.slice (list "time-sliced" "mps") -}}
{{- fail (printf "%s.slice: is %s, which NVIDIA's DRA driver shares only by settings that may still change; write a MIG profile, or mode: device-plugin" $at $gpu.slice) -}}
{{- end -}}
{{- include "model.gpuSliceFits" (list $gpu $at) -}}
{{- $selectors := list -}}
{{- with $gpu.product -}}
{{- $known := deepCopy (dig "values" dict (($root.Files.Get "pools/gfd.yaml" | fromYaml).product)) -}}
{{- if eq (dig "product" "label" "" $preset) "nvidia.com/gpu.product" -}}{{- include "fairlead.overlay" (list $known $preset.product.values) -}}{{- end -}}
{{- if not (hasKey $known .) -}}
{{- fail (printf "%s.product: %q is not known with mode dra; write one of %s" $at . (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $selectors = append $selectors (printf "device.attributes['gpu.nvidia.com'].productName.replace(' ', '-') in %s" (get $known . | toJson)) -}}
{{- end -}}
{{- with $gpu.memory -}}
{{- if lt (include "fairlead.bytes" . | int64) 1073741824 -}}
{{- fail (printf "%s.memory: %v is less than one GiB; write the memory of a GPU with its unit, such as 24Gi" $at .) -}}
{{- end -}}
{{- $least := ternary . (include "fairlead.bytes" . | int64 | toString) (kindIs "string" .) -}}
{{- $selectors = append $selectors (printf "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('%s')) >= 0" $least) -}}
{{- end -}}
{{- with $gpu.slice -}}
{{- $selectors = append $selectors (printf "device.attributes['gpu.nvidia.com'].profile == '%s'" .) -}}
{{- end -}}
{{- $cel := list -}}
{{- range $selectors -}}{{- $cel = append $cel (dict "cel" (dict "expression" .)) -}}{{- end -}}
{{- $_ := set $into "deviceClassName" (ternary "mig.nvidia.com" "gpu.nvidia.com" (ne $gpu.slice "")) -}}
{{- $_ := set $into "count" (int $gpu.count) -}}
{{- if $cel -}}{{- $_ := set $into "selectors" $cel -}}{{- end -}}
{{- end }}

{{/* What gpu.pool may be, for messages. The argument is the root. */}}
{{- define "model.gpuPools" -}}
{{- $names := list -}}
{{- range $path, $_ := .Files.Glob "pools/*.yaml" -}}{{- $names = append $names (base $path | trimSuffix ".yaml") -}}{{- end -}}
{{ join ", " (sortAlpha $names) }}, custom
{{- end }}

{{/* Fills the dictionary $into with the data of a pool: (list $ gpu path-of-gpu $into). */}}
{{- define "model.gpuPreset" -}}
{{- $root := index . 0 -}}{{- $gpu := index . 1 -}}{{- $at := index . 2 -}}{{- $into := index . 3 -}}
{{- if eq $gpu.pool "custom" -}}
{{- if not $gpu.custom -}}
{{- fail (printf "%s.custom: is empty, but the pool is custom; say how its nodes are labelled and tainted: custom: {requires: [{key: pool, operator: In, values: [gpu]}], tolerations: [...]}" $at) -}}
{{- end -}}
{{- else -}}
{{- $text := $root.Files.Get (printf "pools/%s.yaml" $gpu.pool) -}}
{{- if not $text -}}
{{- fail (printf "%s.pool: %q is not a pool; write one of %s" $at $gpu.pool (include "model.gpuPools" $root)) -}}
{{- end -}}
{{- $preset := fromYaml $text -}}
{{- with $preset.extends -}}{{- include "fairlead.overlay" (list $into ($root.Files.Get (printf "pools/%s.yaml" .) | fromYaml)) -}}{{- end -}}
{{- include "fairlead.overlay" (list $into $preset) -}}
{{- end -}}
{{- include "fairlead.overlay" (list $into (deepCopy $gpu.custom)) -}}
{{- end }}

{{/*
Fills the dictionary $into with what the pool says about GPUs of this kind, whole ones or slices, with the MIG profile in
place of PROFILE: (list gpu path-of-gpu preset $into).
*/}}
{{- define "model.gpuSlice" -}}
{{- $gpu := index . 0 -}}{{- $at := index . 1 -}}{{- $preset := index . 2 -}}{{- $into := index . 3 -}}
{{- $slices := $preset.slices | default dict -}}
{{- $kind := $gpu.slice | default "whole" -}}
{{- if regexMatch "^[0-9]" $kind -}}{{- $kind = "mig" -}}{{- end -}}
{{- if $gpu.slice -}}
{{- if not (hasKey $slices $kind) -}}
{{- $has := without (keys $slices | sortAlpha) "whole" | join ", " | default "none" -}}
{{- fail (printf "%s.slice: the pool %s has no slices of the kind %s (it has: %s); remove slice for a whole GPU, or say how such nodes are labelled in %s.custom.slices.%s" $at $gpu.pool $kind $has $at $kind) -}}
{{- end -}}
{{- end -}}
{{- include "model.gpuSliceFits" (list $gpu $at) -}}
{{- range $name, $value := get $slices $kind | default dict | toJson | replace "PROFILE" $gpu.slice | fromJson -}}
{{- $_ := set $into $name $value -}}
{{- end -}}
{{- end }}

{{/* Fails on a slice that no GPU has: (list gpu path-of-gpu). */}}
{{- define "model.gpuSliceFits" -}}
{{- $gpu := index . 0 -}}{{- $at := index . 1 -}}
{{- if and (regexMatch "^[0-9]" $gpu.slice) (has $gpu.product (list "t4" "a10" "a10g" "l4" "l40s")) -}}
{{- fail (printf "%s.slice: no %s can be divided by MIG (only A100, H100 and newer can), so no node has a slice %s of it; write slice: time-sliced, or another product" $at $gpu.product $gpu.slice) -}}
{{- end -}}
{{- if and $gpu.slice (gt (int $gpu.count) 1) -}}
{{- fail (printf "%s.count: is %d, but a pod gets one slice of a GPU (slice: %s): a second one is no faster; set count to 1, or remove slice" $at (int $gpu.count) $gpu.slice) -}}
{{- end -}}
{{- end }}

{{/*
The values of the product's label that a node may have, as a JSON list; empty if any: (list gpu path-of-gpu preset slice).
Where the label of a slice has a suffix, every product of the pool is listed, because labels cannot be matched in part.
*/}}
{{- define "model.gpuProducts" -}}
{{- $gpu := index . 0 -}}{{- $at := index . 1 -}}{{- $preset := index . 2 -}}
{{- $suffixes := (index . 3).productSuffixes | default (list "") -}}
{{- $known := dig "product" "values" dict $preset -}}
{{- $found := list -}}
{{- if $gpu.product -}}
{{- if not (and (dig "product" "label" "" $preset) (hasKey $known $gpu.product)) -}}
{{- fail (printf "%s.product: %q is not known in the pool %s; write one of %s, or give the values of its label: custom: {product: {values: {%s: [...]}}}" $at $gpu.product $gpu.pool (keys $known | sortAlpha | join ", " | default "none") $gpu.product) -}}
{{- end -}}
{{- $found = get $known $gpu.product -}}
{{- else if not (has "" $suffixes) -}}
{{- range $name := keys $known | sortAlpha -}}{{- $found = concat $found (get $known $name) -}}{{- end -}}
{{- end -}}
{{- $values := list -}}
{{- range $product := $found -}}{{- range $suffixes -}}{{- $values = append $values (printf "%s%s" $product .) -}}{{- end -}}{{- end -}}
{{ toJson $values }}
{{- end }}

{{/* An affinity that also has these requirements on the nodes, in each of its alternatives: (list affinity requirements). */}}
{{- define "model.onNodes" -}}
{{- $affinity := deepCopy (index . 0) -}}{{- $requires := index . 1 -}}
{{- if $requires -}}
{{- $node := $affinity.nodeAffinity | default dict -}}
{{- $name := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $terms := list -}}
{{- range dig $name "nodeSelectorTerms" (list dict) $node -}}
{{- $terms = append $terms (merge (dict "matchExpressions" (concat (.matchExpressions | default list) $requires)) .) -}}
{{- end -}}
{{- $_ := set $node $name (dict "nodeSelectorTerms" $terms) -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- end -}}
{{ toYaml $affinity }}
{{- end }}

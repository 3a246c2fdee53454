{{/* The environment of the model's container: (list $ $version). */}}
{{- define "model.environment" -}}
{{- include "fairlead.environment" (list (include "model.ownEnvironment" .) (index . 1).workload.extraEnv) }}
{{- end }}

{{/*
What the chart sets of it: (list $ $version). Address, drain and TLS are computed, the rest comes from `serving`.
*/}}
{{- define "model.ownEnvironment" -}}
{{- $tls := (index . 0).Values.tls -}}
{{- with index . 1 -}}
{{- $pod := .workload -}}
- {name: FAIRLEAD_SERVING_HOST, value: "0.0.0.0"}
- {name: FAIRLEAD_SERVING_PORT, value: "8080"}
- {name: FAIRLEAD_SERVED_AS, value: {{ printf "%s.%s" .name .namespace | quote }}}
# Where the service says why its model cannot be served: the kubelet's default for a termination message.
- {name: FAIRLEAD_FAILURE_FILE, value: /dev/termination-log}
{{- if $tls.secretName }}
- {name: FAIRLEAD_SERVING_TLS_CERT, value: /etc/fairlead/tls/tls.crt}
- {name: FAIRLEAD_SERVING_TLS_KEY, value: /etc/fairlead/tls/tls.key}
- {name: FAIRLEAD_SERVING_TLS_CLIENT_CA, value: /etc/fairlead/tls/ca.crt}
{{- if $tls.alsoPlain }}
- {name: FAIRLEAD_SERVING_TLS_ALSO_PLAIN, value: "true"}
{{- end }}
{{- end }}
{{- if eq .source.kind "pvc" }}
# Others may write to the claim, so the service compares the folder before it reads it.
- {name: FAIRLEAD_SERVING_FOLDER_SHA256, value: {{ .artifact | quote }}}
- {name: FAIRLEAD_SERVING_CHECK_FOLDER, value: "true"}
{{- end }}
- {name: FAIRLEAD_SERVING_DRAIN_S, value: {{ int $pod.drain.propagationSeconds | quote }}}
- {name: FAIRLEAD_SERVING_FINISH_S, value: {{ int $pod.drain.requestSeconds | quote }}}
{{- range $name, $value := $pod.serving }}
{{- if not (kindIs "invalid" $value) }}
{{- $text := kindIs "slice" $value | ternary ($value | join ",") ($value | toJson | trimAll "\"") }}
- {name: FAIRLEAD_SERVING_{{ $name | snakecase | upper }}, value: {{ $text | quote }}}
{{- end }}
{{- end }}
{{- if include "model.recordingBytes" $pod }}
- {name: FAIRLEAD_SERVING_RECORD_DIR, value: /recording}
{{- end }}
{{- with .callTimeout }}
- {name: FAIRLEAD_CALL_TIMEOUT_S, value: {{ . | quote }}}
{{- end }}
{{- if hasPrefix "nvidia.com/" (dig "resource" "" (.gpu | default dict)) }}
# What the container toolkit mounts from the driver: CUDA and nvidia-smi. `extraEnv` may say more.
- {name: NVIDIA_DRIVER_CAPABILITIES, value: "compute,utility"}
{{- end }}
{{- end }}
{{- end }}

{{/*
The size of the volume for recorded requests, in bytes; empty if the pod has none: (workload). A megabyte more than the
recording needs, for folders and locks. With `recordDir` the recording is on a volume of the user.
*/}}
{{- define "model.recordingBytes" -}}
{{- with .serving -}}
{{- if and (gt (float64 (.recordShare | default 0)) 0.0) (not .recordDir) -}}
{{ add (int64 (.recordBytes | default 67108864)) 1048576 }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The volumes of a pod: (list $ $version). */}}
{{- define "model.volumes" -}}
{{- $tls := (index . 0).Values.tls -}}
{{- with index . 1 -}}
{{- $pod := .workload -}}
- name: scratch
  emptyDir:
    sizeLimit: {{ $pod.scratch.sizeLimit }}
    {{- with $pod.scratch.medium }}
    medium: {{ . }}
    {{- end }}
{{- with include "model.recordingBytes" $pod }}
- name: recording
  emptyDir: {sizeLimit: {{ . | quote }}}
{{- end }}
{{- with $pod.sharedMemory }}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end }}
{{- include "model.sourceVolumes" . }}
{{- with $tls.secretName }}
# The whole folder, without subPath: only so the kubelet brings a changed Secret into the pod.
- name: tls
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- with $pod.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* All init containers of a version, the user's before those of the chart: (list $ $version). */}}
{{- define "model.initContainers" -}}
{{- $version := index . 1 -}}
{{- include "fairlead.initContainers" $version.workload }}
{{- if eq $version.source.kind "init" }}
{{ include "model.fetching" . }}
{{- end }}
{{- end }}

{{/*
The init containers of source.kind init: (list $ $version). The last container verifies that the archive has the SHA-256
of the version before it unpacks it, also if a fetcher of the user downloaded the archive.
*/}}
{{- define "model.fetching" -}}
{{- $root := index . 0 -}}{{- $version := index . 1 -}}
{{- $pod := $version.workload -}}
{{- with $version.source.fetcher -}}
- name: download
  image: {{ .image | quote }}
  {{- with .command }}
  command: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .args }}
  args: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $own := list (dict "name" "FAIRLEAD_SOURCE" "value" ($version.source.uri | replace "$(" "$$(")) (dict "name" "FAIRLEAD_ARCHIVE" "value" "/fetched/archive") }}
  env: {{- include "fairlead.environment" (list (toYaml $own) .env) | nindent 4 }}
  {{- with .envFrom }}
  envFrom: {{- toYaml . | nindent 4 }}
  {{- end }}
  # The end of its log says why it failed, where the route's status can show it.
  terminationMessagePolicy: FallbackToLogsOnError
  resources: {{- toYaml $pod.resources | nindent 4 }}
  securityContext: {{- toYaml $pod.securityContext | nindent 4 }}
  volumeMounts:
    - {name: fetched, mountPath: /fetched}
    - {name: scratch, mountPath: /tmp}
    {{- with $pod.extraVolumeMounts }}{{ toYaml . | nindent 4 }}{{ end }}
{{ end -}}
- name: unpack
  image: {{ $version.image | quote }}
  imagePullPolicy: {{ $version.pullPolicy }}
  command: [python, -c]
  args:
    - {{ $root.Files.Get "files/fetch.py" | toJson }}
  env: {{- include "fairlead.environment" (list (include "model.unpackEnvironment" $version) $pod.extraEnv) | nindent 4 }}
  resources: {{- toYaml $pod.resources | nindent 4 }}
  securityContext: {{- toYaml $pod.securityContext | nindent 4 }}
  volumeMounts:
    - {name: fetched, mountPath: /fetched}
    - {name: scratch, mountPath: /tmp}
    {{- if $version.source.cache }}
    - {name: cache, mountPath: /cache}
    {{- end }}
{{- end }}

{{/* What the chart sets in the environment of the container `unpack`. The argument is the version. */}}
{{- define "model.unpackEnvironment" -}}
- {name: FAIRLEAD_SOURCE, value: {{ ternary "" .source.uri (hasKey .source "fetcher") | replace "$(" "$$(" | quote }}}
- {name: FAIRLEAD_ARCHIVE, value: /fetched/archive}
- {name: FAIRLEAD_SHA256, value: {{ .artifact | quote }}}
- {name: FAIRLEAD_FOLDER, value: {{ .folder }}}
{{- with .source.cache }}
- {name: FAIRLEAD_CACHE, value: /cache}
- {name: FAIRLEAD_CACHE_BYTES, value: {{ include "fairlead.bytes" (.size | default "20Gi") | quote }}}
{{- end }}
- {name: FAIRLEAD_FAILURE_FILE, value: /dev/termination-log}
{{- end }}

{{/*
What the chart sets in the annotations of a pod: (workload). Cluster Autoscaler leaves a node alone whose pods have local
volumes, as all of these have, unless they say that nothing in them is missed.
*/}}
{{- define "model.podAnnotations" -}}
kubectl.kubernetes.io/default-container: model
cluster-autoscaler.kubernetes.io/safe-to-evict: {{ .evictable | quote }}
{{- if not .evictable }}
karpenter.sh/do-not-disrupt: "true"
{{- end }}
{{- end }}

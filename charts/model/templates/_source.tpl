{{/*
Writes where the model folder of a version comes from into its settings: (list $ $given $version $at). Afterwards $version
has source, folder (of the container; empty: the image's own) and artifact. Fails on what contradicts itself.
*/}}
{{- define "model.source" -}}
{{- $root := index . 0 -}}{{- $given := index . 1 -}}{{- $version := index . 2 -}}{{- $at := index . 3 -}}
{{- $source := merge (dict) ($given.source | default dict) (dict "kind" "baked") -}}
{{- $artifact := $given.artifact | default "" -}}
{{- $kinds := dict "uri" (list "init") "fetcher" (list "init") "cache" (list "init") "reference" (list "image") "featureGate" (list "image") "claim" (list "pvc") "path" (list "image" "pvc") -}}
{{- range $name := keys $kinds | sortAlpha -}}
{{- $kind := get $kinds $name -}}
{{- if and (get $source $name) (not (has $source.kind $kind)) -}}
{{- fail (printf "%s.source.%s: is for kind %s, but kind is %s; set kind: %s, or remove %s" $at $name (join " and " $kind) $source.kind (first $kind) $name) -}}
{{- end -}}
{{- end -}}
{{- $folder := "" -}}
{{- if eq $source.kind "init" -}}
{{- $folder = "/fetched/model" -}}
{{- include "model.initSource" (list $source $artifact $at) -}}
{{- else if eq $source.kind "image" -}}
{{- $folder = "/source" -}}
{{- include "model.imageSource" (list $root $source $artifact $at) -}}
{{- $artifact = regexFind "[0-9a-f]{64}$" $source.reference -}}
{{- /* Another folder of the same image is another version too. */ -}}
{{- if $source.path -}}{{- $artifact = printf "%s/%s" $artifact $source.path | sha256sum -}}{{- end -}}
{{- else if eq $source.kind "pvc" -}}
{{- $folder = "/source" -}}
{{- if not $source.claim -}}{{ fail (printf "%s.source.claim: is empty, but kind pvc reads the model folder from a claim; set the name of the PersistentVolumeClaim" $at) }}{{- end -}}
{{- if not $artifact -}}{{ fail (printf "%s.artifact: is empty, but kind pvc must verify the folder; set the digest of the folder's listing" $at) }}{{- end -}}
{{- end -}}
{{- with $source.path -}}
{{- if or (hasPrefix "/" .) (has ".." (splitList "/" .)) -}}
{{- fail (printf "%s.source.path: %q leads out of the volume; write the folder in it, such as models/iris" $at .) -}}
{{- end -}}
{{- $folder = printf "/source/%s" . -}}
{{- end -}}
{{- $_ := set $version "source" $source -}}
{{- $_ := set $version "folder" $folder -}}
{{- $_ := set $version "artifact" $artifact -}}
{{- end }}

{{/* Fails on settings of source.kind init: (list source artifact at). */}}
{{- define "model.initSource" -}}
{{- $source := index . 0 -}}{{- $at := index . 2 -}}
{{- if not $source.uri -}}{{ fail (printf "%s.source.uri: is empty, but kind init fetches an archive from it; set the address of the archive" $at) }}{{- end -}}
{{- if not (index . 1) -}}{{ fail (printf "%s.artifact: is empty, but kind init must verify the archive; set the archive's SHA-256" $at) }}{{- end -}}
{{- if regexMatch "^[a-z0-9+]+://[^/]*@" $source.uri -}}
{{- fail (printf "%s.source.uri: has a user or a password, which everybody would see who may read the Deployment; remove it, and set source.fetcher to a container that gets it from a Secret (fetcher.envFrom)" $at) -}}
{{- end -}}
{{- if not (or $source.fetcher (regexMatch "^https?://" $source.uri)) -}}
{{- fail (printf "%s.source.uri: %q is not an http(s) address; set source.fetcher to a container that can download it" $at $source.uri) -}}
{{- end -}}
{{- with $source.cache -}}
{{- if $source.fetcher -}}
{{- fail (printf "%s.source.cache: a fetcher of your own always downloads; remove the cache, or the fetcher" $at) -}}
{{- end -}}
{{- if not (or (and .hostPath (not .claim)) (and .claim (not .hostPath))) -}}
{{- fail (printf "%s.source.cache: is a folder of the node (hostPath) or a claim; set one of them" $at) -}}
{{- end -}}
{{- if and .hostPath (or (not (hasPrefix "/" .hostPath)) (eq (clean .hostPath) "/")) -}}
{{- fail (printf "%s.source.cache.hostPath: %q is not the path of a folder; write it from the root, such as /var/cache/fairlead" $at .hostPath) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Fails on settings of source.kind image: (list $ source artifact at). */}}
{{- define "model.imageSource" -}}
{{- $root := index . 0 -}}{{- $source := index . 1 -}}{{- $at := index . 3 -}}
{{- if not (regexMatch "^[^@[:space:]]+@sha256:[0-9a-f]{64}$" ($source.reference | default "")) -}}
{{- fail (printf "%s.source.reference: %q names no image by its digest; write NAME@sha256:DIGEST" $at ($source.reference | default "")) -}}
{{- end -}}
{{- if index . 2 -}}
{{- fail (printf "%s.artifact: is set, but with kind image the digest of the reference says what is served; remove it" $at) -}}
{{- end -}}
{{- $cluster := $root.Capabilities.KubeVersion.Version -}}
{{- if and (semverCompare "<1.35-0" $cluster) (not $source.featureGate) -}}
{{- fail (printf "%s.source.kind: is image, and Kubernetes %s has image volumes only with the feature gate ImageVolume, which is on from 1.35; write kind init or pvc, or source.featureGate: true where the gate is on" $at $cluster) -}}
{{- end -}}
{{- end }}

{{/* The volumes of a version's source: (list version). */}}
{{- define "model.sourceVolumes" -}}
{{- $source := .source -}}
{{- if eq $source.kind "init" }}
- name: fetched
  emptyDir:
    sizeLimit: {{ .workload.scratch.sizeLimit }}
{{- with $source.cache }}
- name: cache
  {{- if .hostPath }}
  hostPath: {path: {{ .hostPath | quote }}, type: DirectoryOrCreate}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .claim | quote }}}
  {{- end }}
{{- end }}
{{- else if eq $source.kind "image" }}
- name: source
  image: {reference: {{ $source.reference | quote }}, pullPolicy: IfNotPresent}
{{- else if eq $source.kind "pvc" }}
- name: source
  persistentVolumeClaim: {claimName: {{ $source.claim | quote }}, readOnly: true}
{{- end }}
{{- end }}

{{/* The volume with the folder, as the model's container mounts it. The argument is the version. */}}
{{- define "model.sourceMounts" -}}
{{- if eq .source.kind "init" }}
- {name: fetched, mountPath: /fetched, readOnly: true}
{{- else if .folder }}
- {name: source, mountPath: /source, readOnly: true}
{{- end }}
{{- end }}

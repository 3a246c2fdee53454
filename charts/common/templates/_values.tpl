{{/*
Checks the values before anything else reads them; every template begins with this. The argument is the root.
files/values.json says what to check: ci/charts writes it. Afterwards no key of values.yaml is missing, except those for
which null has a meaning.
*/}}
{{- define "fairlead.checked" -}}
{{- $known := .Files.Get "files/values.json" | fromJson -}}
{{- include "fairlead.checkedBelow" (dict "value" .Values "node" $known.values "at" (include "fairlead.at" .) "patterns" $known.patterns "upgrade" .Release.IsUpgrade) -}}
{{- end }}

{{/*
What the path of each of this chart's values begins with, for messages: nothing, or "iris." in an umbrella chart whose
dependency has the alias iris. The argument is the root.
*/}}
{{- define "fairlead.at" -}}
{{- if not .Chart.IsRoot }}{{ .Chart.Name }}.{{ end -}}
{{- end }}

{{/*
Checks the keys of a map that files/values.json names: (dict "value" map "node" ... "at" path-and-dot "patterns" ...). A
name that is a number is a text afterwards, because `helm lint` only logs a failure and goes on.
*/}}
{{- define "fairlead.checkedBelow" -}}
{{- $all := . -}}
{{- range $name, $node := .node.below -}}
{{- $value := index $all.value $name -}}
{{- if not (kindIs "invalid" $value) -}}
{{- include "fairlead.checkedValue" (dict "value" $value "node" $node "at" (printf "%s%s" $all.at $name) "patterns" $all.patterns "upgrade" $all.upgrade) -}}
{{- if and $node.text (or (kindIs "float64" $value) (kindIs "int64" $value) (kindIs "bool" $value)) -}}
{{- $pattern := get $all.patterns $node.text -}}
{{- if or $pattern.isQuoted $pattern.hasUnit -}}
{{- $_ := set $all.value $name (toJson $value) -}}
{{- end -}}
{{- end -}}
{{- else if $node.null -}}
{{- $reused := ternary " (if your values do not have it, this upgrade reused old values: pass your values file instead of --reuse-values)" "" $all.upgrade -}}
{{- fail (printf "%s%s: is null; %s%s" $all.at $name $node.null $reused) -}}
{{- else if hasKey $node "empty" -}}
{{- $_ := set $all.value $name $node.empty -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Checks one value and everything below it; the arguments are those of fairlead.checkedBelow, without the dot. */}}
{{- define "fairlead.checkedValue" -}}
{{- $all := . -}}
{{- with .node.text -}}
{{- include "fairlead.checkedText" (dict "value" $all.value "pattern" (get $all.patterns .) "at" (printf "%s: " $all.at) "mayBeEmpty" $all.node.mayBeEmpty) -}}
{{- end -}}
{{- if kindIs "map" .value -}}
{{- with .node.names -}}
{{- $pattern := get $all.patterns . -}}
{{- range $name, $_ := $all.value -}}
{{- include "fairlead.checkedText" (dict "value" $name "pattern" $pattern "at" (printf "%s: the key " $all.at)) -}}
{{- end -}}
{{- end -}}
{{- include "fairlead.checkedBelow" (merge (dict "at" (printf "%s." .at)) .) -}}
{{- with .node.settings -}}
{{- include "fairlead.checkedSettings" (dict "gate" $all.value "settings" . "at" $all.at) -}}
{{- end -}}
{{- with .node.each -}}
{{- $node := . -}}
{{- range $name, $value := $all.value -}}
{{- include "fairlead.checkedValue" (dict "value" $value "node" $node "at" (printf "%s.%s" $all.at $name) "patterns" $all.patterns "upgrade" $all.upgrade) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- with .node.each -}}
{{- $node := . -}}
{{- range $index, $value := $all.value -}}
{{- include "fairlead.checkedValue" (dict "value" $value "node" $node "at" (printf "%s[%d]" $all.at $index) "patterns" $all.patterns "upgrade" $all.upgrade) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A gate has only settings of its own: (dict "gate" map "settings" keys-by-gate "at" path). */}}
{{- define "fairlead.checkedSettings" -}}
{{- $gate := .gate -}}
{{- $name := toString $gate.name -}}
{{- $kind := $name -}}
{{- if hasPrefix "custom-" $name -}}{{ $kind = ternary "custom-limit" "custom-" (not (kindIs "invalid" $gate.limit)) }}{{- end -}}
{{- $own := get .settings $kind | default list -}}
{{- range $setting, $value := omit $gate "name" "role" -}}
{{- if not (or (has $setting $own) (kindIs "invalid" $value)) -}}
{{- fail (printf "%s.%s: is no setting of the gate %s%s, which has %s; remove it" $.at $setting $name (ternary " with a limit" "" (eq $kind "custom-limit")) (join ", " $own | default "none")) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Checks one text: (dict "value" ... "pattern" {pattern, noun, shape} "at" beginning-of-the-message "mayBeEmpty" bool). */}}
{{- define "fairlead.checkedText" -}}
{{- if kindIs "string" .value -}}
{{- if not (or (regexMatch .pattern.pattern .value) (and .mayBeEmpty (eq .value ""))) -}}
{{- $shown := ternary "this" (printf "%q" .value) (default false .pattern.isHidden) -}}
{{- fail (printf "%s%s is not %s; write %s" .at $shown .pattern.noun .pattern.shape) -}}
{{- end -}}
{{- else if .pattern.isQuoted -}}
{{- /* The text as it was written is not known here: 1.10 arrives as 1.1, 1e3 as 1000, yes as true. */ -}}
{{- $kind := ternary "boolean" "number" (kindIs "bool" .value) -}}
{{- $example := ternary "\"yes\", which YAML reads as true without them" "\"1.10\", which YAML reads as 1.1 without them" (kindIs "bool" .value) -}}
{{- fail (printf "%sYAML reads it as the %s %s; write it in quotes as you mean it, for example %s (on the command line: --set-string)" .at $kind (toJson .value) $example) -}}
{{- else if .pattern.hasUnit -}}
{{- $seconds := printf "%ss" (toJson .value) -}}
{{- if regexMatch .pattern.pattern $seconds -}}
{{- fail (printf "%s%s has no unit; write %s for seconds, or another unit: %s" .at (toJson .value) $seconds (ternary "500ms, 5m, 2h, 1h30m" "500ms, 5m" (contains "2h" .pattern.shape))) -}}
{{- end -}}
{{- fail (printf "%s%s is not %s; write %s" .at (toJson .value) .pattern.noun .pattern.shape) -}}
{{- end -}}
{{- end }}

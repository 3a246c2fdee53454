{{/* Refuses a policy that is null: Helm would remove the key, and the policy would be missing without a word. */}}
{{- define "crds.checked" -}}
{{- $at := ternary "" (printf "%s." .Chart.Name) .Chart.IsRoot -}}
{{- if kindIs "invalid" .Values.policies -}}
{{- fail (printf "%spolicies: is null; remove the line to keep the defaults, or set actions, fencing or controlPlane below it" $at) -}}
{{- end -}}
{{- if kindIs "invalid" .Values.priorityClasses -}}
{{- fail (printf "%spriorityClasses: is null; remove the line for the default, false, or write true" $at) -}}
{{- end -}}
{{- range $name := list "actions" "fencing" "controlPlane" -}}
{{- if kindIs "invalid" (index $.Values.policies $name) -}}
{{- fail (printf "%spolicies.%s: is null; remove the line for the default, true, or write false" $at $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Converts a duration ("1h30m", "500ms") to seconds. */}}
{{- define "fairlead.seconds" -}}
{{- $sizes := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $sizes $unit)) -}}
{{- end -}}
{{ $sum }}
{{- end }}

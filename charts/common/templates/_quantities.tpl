{{/* Converts a quantity of memory ("512Mi", "1.5G", 536870912) to bytes. */}}
{{- define "fairlead.bytes" -}}
{{- $units := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $units = merge $units (dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0) -}}
{{- $units = merge $units (dict "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0) -}}
{{- $text := kindIs "string" . | ternary . (int64 . | toString) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{ mulf (trimSuffix $unit $text | float64) (get $units $unit) | int64 }}
{{- end }}

{{/* A comment
over lines */}}
{{- define "language.named" -}}
named({{ .x }})
{{- end -}}
{{- define "language.recursive" -}}
{{- if gt . 0 }}{{ . }},{{ include "language.recursive" (sub . 1 | int) }}{{ end -}}
{{- end -}}
{{ define "language.spaces" }}
  kept
{{ end }}
{{- define "language.vars" }}{{ $ | toJson }}{{ end }}

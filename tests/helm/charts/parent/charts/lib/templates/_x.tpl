{{ define "lib.x" }}lib {{ .Chart.Name }}{{ end }}

{{- /* redis.conf. Passwords and the role are included from files that start.sh
writes, so this text holds no secret and is the same in every pod and topology:
while data moves from one topology to the other both read it. */ -}}
{{- define "redis.config" -}}
bind * -::*
protected-mode yes
port {{ int64 .Values.service.targetPort }}
dir /data
appendonly {{ ternary "yes" "no" .Values.redis.appendonly }}
appendfsync {{ .Values.redis.appendfsync }}
maxmemory {{ include "redis.maxmemory" . }}
maxmemory-policy {{ .Values.redis.maxmemoryPolicy }}
replica-serve-stale-data yes
# Long enough for replicas that start together to share one copy.
repl-diskless-sync-delay 1
include /run/redis/auth.conf
include /run/redis/role.conf
{{- end }}

{{- /* What start.sh and the probes know of the topology. Read at each start and
outside the checksum: a change of replicaCount restarts no pod. */ -}}
{{- define "redis.topologyFile" -}}
port={{ int64 .Values.service.targetPort }}
replicas={{ int64 .Values.replicaCount }}
host={{ include "redis.fullname" . }}-%d.{{ include "redis.fullname" . }}-headless.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* Bytes; 0, which is no bound, where there is no memory limit. */ -}}
{{- define "redis.maxmemory" -}}
{{- $limits := .Values.resources.limits | default dict -}}
{{- if $limits.memory -}}
{{- div (mul (include "redis.bytes" $limits.memory) (int64 .Values.redis.maxmemoryPercent)) 100 -}}
{{- else -}}
0
{{- end -}}
{{- end }}

{{- /* A Kubernetes quantity in bytes, in whole numbers: thousandths first, so
that 1.5Gi is exact. */ -}}
{{- define "redis.bytes" -}}
{{- if kindIs "string" . -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $unit := trimPrefix $number . -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $parts := splitList "." $number -}}
{{- $thousandths := printf "%s000" (rest $parts | join "") | trunc 3 | atoi -}}
{{- div (mul (add (mul (first $parts | atoi) 1000) $thousandths) (index $factors $unit)) 1000 -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end }}

{{- /* The access file of the passwords in the values. start.sh writes the same
text for an existing Secret. Hashes and hexadecimal digits carry any byte past
the quoting rules of redis.conf. */ -}}
{{- define "redis.auth" -}}
{{- $password := trimSuffix "\n" .Values.secrets.redisPassword -}}
{{- $previous := trimSuffix "\n" .Values.secrets.redisPasswordPrevious -}}
user default on #{{ sha256sum $password }}{{ if $previous }} #{{ sha256sum $previous }}{{ end }} ~* &* +@all
masterauth "{{ regexReplaceAll ".." (printf "%x" $password) "\\x${0}" }}"
{{ end }}

{{- /* Two bytes of a hash, salted with release and namespace: enough to notice a
changed password and restart, too little to confirm a guess. A whole hash in a
pod's annotations would hand a weak password to whoever may list pods. */ -}}
{{- define "redis.authChecksum" -}}
{{- printf "%s/%s/%s" .Release.Namespace .Release.Name (include "redis.auth" .) | sha256sum | trunc 4 -}}
{{- end }}

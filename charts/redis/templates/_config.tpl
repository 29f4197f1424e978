{{- /* redis.conf. Passwords and the role are included from files that start.sh
writes, so this text holds no secret and is the same in every pod and topology:
while data moves from one topology to the other both read it. */ -}}
{{- define "redis.config" -}}
{{ include "redis.configRestart" . }}
{{ include "redis.configLive" . }}
{{- end }}

{{- /* What only a restart changes. With config.reload: live its checksum alone is
on the pods. */ -}}
{{- define "redis.configRestart" -}}
bind * -::*
protected-mode yes
{{ include "redis.listen" (dict "port" .Values.service.targetPort "root" .) }}
dir /data
include /run/redis/auth.conf
include /run/redis/role.conf
{{- include "redis.parameters" (dict "root" . "restart" true) }}
{{- end }}

{{- define "redis.listen" -}}
{{- if .root.Values.tls.enabled -}}
port 0
tls-port {{ int64 .port }}
tls-cert-file /run/secrets/redis-tls/tls.crt
tls-key-file /run/secrets/redis-tls/tls.key
tls-ca-cert-file /run/secrets/redis-tls/ca.crt
tls-auth-clients {{ get (dict "none" "no" "optional" "optional" "required" "yes") .root.Values.tls.clientCertificates }}
tls-replication yes
{{- else -}}
port {{ int64 .port }}
{{- end -}}
{{- end }}

{{- /* What CONFIG SET changes in a running server as well. */ -}}
{{- define "redis.configLive" -}}
appendonly {{ ternary "yes" "no" .Values.redis.appendonly }}
appendfsync {{ .Values.redis.appendfsync }}
maxmemory {{ include "redis.maxmemory" . }}
maxmemory-policy {{ .Values.redis.maxmemoryPolicy }}
replica-serve-stale-data yes
# Long enough for replicas that start together to share one copy.
repl-diskless-sync-delay 1
# How long a primary that ends waits for replicas that lag; stop.sh leaves 15 s.
shutdown-timeout 10
{{- include "redis.parameters" (dict "root" . "restart" false) }}
{{- end }}

{{- /* The lines of config.parameters that need a restart, or those that do not.
Which is which was tried on the server: it refuses CONFIG SET of the former. */ -}}
{{- define "redis.parameters" -}}
{{- $restartOnly := list "always-show-logo" "databases" "disable-thp" "io-threads" "io-threads-do-reads" "rdbchecksum" "set-proc-title" "tcp-backlog" -}}
{{- $restart := .restart -}}
{{- range $name, $value := .root.Values.config.parameters -}}
{{- if and (eq (has $name $restartOnly) $restart) (not (kindIs "invalid" $value)) }}
{{ $name }} {{ include "redis.parameter" $value }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "redis.parameter" -}}
{{- if kindIs "bool" . -}}{{ ternary "yes" "no" . }}
{{- else if kindIs "string" . -}}{{ default "\"\"" . }}
{{- else -}}{{ int64 . }}
{{- end -}}
{{- end }}

{{- /* What a restart of the pods is due for. */ -}}
{{- define "redis.configChecksum" -}}
{{- $scripts := printf "%s%s" (.Files.Get "files/common.sh") (.Files.Get "files/start.sh") -}}
{{- $config := include "redis.configRestart" . -}}
{{- if eq .Values.config.reload "restart" -}}
{{- $config = printf "%s%v" (include "redis.config" .) .Values.redis.minReplicasToWrite -}}
{{- end -}}
{{- printf "%s%s%s" $config (include "redis.usersFile" .) $scripts | sha256sum -}}
{{- end }}

{{- /* The users besides `default`, for start.sh: a name and its rules a line. */ -}}
{{- define "redis.usersFile" -}}
{{- range .Values.acl.users }}
{{ .name }} {{ .rules }}
{{- end }}
{{- end }}

{{- /* What start.sh and the probes know of the topology. Read at each start and
outside the checksum: a change of replicaCount restarts no pod. */ -}}
{{- define "redis.topologyFile" -}}
{{- $name := include "redis.fullname" . -}}
port={{ int64 .Values.service.targetPort }}
replicas={{ int64 .Values.replicaCount }}
host={{ $name }}-%d.{{ $name }}-headless.{{ .Release.Namespace }}.svc
service={{ $name }}-headless.{{ .Release.Namespace }}.svc
server={{ .Values.flavor }}-server
client={{ .Values.flavor }}-cli
tls={{ ternary "yes" "" .Values.tls.enabled }}
min_replicas={{ include "redis.parameter" .Values.redis.minReplicasToWrite }}
sentinels={{ ternary 3 0 .Values.sentinel.enabled }}
{{- if .Values.sentinel.enabled }}
sentinel_host={{ $name }}-sentinel-%d.{{ $name }}-sentinel.{{ .Release.Namespace }}.svc
sentinel_port=26379
primary_name={{ $name }}
{{- end }}
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
{{- range .Values.acl.users }}
{{- $previous := trimSuffix "\n" (default "" .passwordPrevious) }}
user {{ .name }} on #{{ sha256sum (trimSuffix "\n" (default "" .password)) }}{{ if $previous }} #{{ sha256sum $previous }}{{ end }} {{ .rules }}
{{- end }}
masterauth "{{ regexReplaceAll ".." (printf "%x" $password) "\\x${0}" }}"
{{ end }}

{{- /* Two bytes of a hash, salted with release and namespace: enough to notice a
changed password and restart, too little to confirm a guess. A whole hash in a
pod's annotations would hand a weak password to whoever may list pods. */ -}}
{{- define "redis.authChecksum" -}}
{{- printf "%s/%s/%s" .Release.Namespace .Release.Name (include "redis.auth" .) | sha256sum | trunc 4 -}}
{{- end }}

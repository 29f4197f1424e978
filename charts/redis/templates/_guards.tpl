{{- /* Refuses what would lose data or open Redis. The look-ups find nothing in
`helm template` and `helm lint`, so there only the values are judged. */ -}}
{{- define "redis.guard" -}}
{{- if not .Values.redis.requirepass -}}
{{- fail "redis.requirepass: false is refused: a Redis without a password is open to every pod that reaches it. Leave it true and give the password by secrets.existingSecret" -}}
{{- end -}}
{{- if and (not .Values.secrets.existingSecret) (not (trimSuffix "\n" .Values.secrets.redisPassword)) -}}
{{- fail "secrets.redisPassword is empty: set secrets.existingSecret to a Secret with the key redis-password, or give a password" -}}
{{- end -}}
{{- if contains "\x00" (print .Values.secrets.redisPassword .Values.secrets.redisPasswordPrevious) -}}
{{- fail "a password in secrets holds a NUL character, which no client can send in its environment; choose another" -}}
{{- end -}}
{{- if and (eq (include "redis.topology" .) "replication") (not .Values.persistence.enabled) -}}
{{- fail "replicaCount: 2 or more needs persistence.enabled: true: a primary that restarts without its data would hand its emptiness to every replica" -}}
{{- end -}}
{{- include "redis.guardMemory" . -}}
{{- include "redis.guardSentinel" . -}}
{{- include "redis.guardParts" . -}}
{{- include "redis.guardVersion" . -}}
{{- if not .Values.topology.transition -}}
{{- include "redis.guardTopology" . -}}
{{- end -}}
{{- end }}

{{- define "redis.guardMemory" -}}
{{- $memory := dig "limits" "memory" "" .Values.resources -}}
{{- if $memory -}}
{{- $room := sub (include "redis.bytes" $memory | int64) (include "redis.maxmemory" . | int64) -}}
{{- if lt $room 16777216 -}}
{{- fail (printf "resources.limits.memory %v with redis.maxmemoryPercent %d leaves %d bytes beside the data. Redis needs at least 16Mi for itself, for copy-on-write while it saves, and for the buffers of clients and replicas, or it is killed when it is full. Raise the limit or lower the share" $memory (int64 .Values.redis.maxmemoryPercent) $room) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "redis.guardSentinel" -}}
{{- if .Values.sentinel.enabled -}}
{{- if ne (include "redis.topology" .) "replication" -}}
{{- fail "sentinel.enabled: true needs replicaCount: 2 or more: with one Redis there is nothing to fail over to" -}}
{{- end -}}
{{- if ne .Values.service.primary "label" -}}
{{- fail "sentinel.enabled: true needs service.primary: label: Sentinel moves the primary to another pod, and a Service that selects pod 0 would send writes to a replica. Whoever sets that (the daemon) keeps the label redis-gitops/role: primary on the right pod" -}}
{{- end -}}
{{- if and (not .Values.secrets.existingSecret) (not (trimSuffix "\n" .Values.secrets.sentinelPassword)) -}}
{{- fail "secrets.sentinelPassword is empty: Sentinel decides who is primary and has a password of its own. Set secrets.existingSecret to a Secret that also has the key sentinel-password, or give one" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "redis.guardParts" -}}
{{- if and (gt (len (include "redis.fullname" .)) 43) (or .Values.sentinel.enabled .Values.backup.enabled) -}}
{{- fail (printf "the name %s is longer than 43 characters, which leaves no room for the names of Sentinels and backups. Set fullnameOverride" (include "redis.fullname" .)) -}}
{{- end -}}
{{- if and .Values.tls.enabled (not .Values.tls.existingSecret) (not .Values.tls.certManager.issuer) -}}
{{- fail "tls.enabled: true needs a certificate: set tls.existingSecret to a Secret with tls.crt, tls.key and ca.crt, or tls.certManager.issuer" -}}
{{- end -}}
{{- if and (eq .Values.flavor "valkey") (eq .Values.image.repository "redis") -}}
{{- fail "flavor: valkey with image.repository: redis: that image has no valkey-server. Set image.repository and image.tag, such as valkey/valkey and 8.1.4-alpine" -}}
{{- end -}}
{{- $seen := list -}}
{{- range .Values.acl.users -}}
{{- if has .name $seen -}}
{{- fail (printf "acl.users names %s twice" .name) -}}
{{- end -}}
{{- $seen = append $seen .name -}}
{{- if and (not $.Values.secrets.existingSecret) (not (trimSuffix "\n" (default "" .password))) -}}
{{- fail (printf "acl.users: %s has no password: give one, or set secrets.existingSecret to a Secret with the key %s-password" .name .name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Newer servers write files that older ones do not read: Redis 7.4 and later
write RDB 12, which neither Redis 7.2 nor Valkey loads. */ -}}
{{- define "redis.guardVersion" -}}
{{- $kind := ternary "StatefulSet" "Deployment" (eq (include "redis.topology" .) "replication") -}}
{{- $live := lookup "apps/v1" $kind .Release.Namespace (include "redis.fullname" .) -}}
{{- range dig "spec" "template" "spec" "containers" list $live -}}
{{- if eq .name "redis" -}}
{{- $image := regexReplaceAll "@.*" .image "" -}}
{{- $from := regexFind "[0-9]+[.][0-9]+" (regexFind "[^:/]*$" $image) -}}
{{- $to := regexFind "^[0-9]+[.][0-9]+" $.Values.image.tag -}}
{{- $wasValkey := contains "valkey" (regexFind "[^/]*$" $image) -}}
{{- $valkey := eq $.Values.flavor "valkey" -}}
{{- $why := "The older server cannot read what the newer one wrote and would not start, or start empty. Keep the newer one; to go back, install the older one beside it and copy the keys over by the clients" -}}
{{- if and $from $to (eq $wasValkey $valkey) (semverCompare (printf ">%s.0" $to) (printf "%s.0" $from)) -}}
{{- fail (printf "image %s to %s:%s is a downgrade. %s" .image $.Values.image.repository $.Values.image.tag $why) -}}
{{- end -}}
{{- if and $from $valkey (not $wasValkey) (semverCompare ">=7.4.0" (printf "%s.0" $from)) -}}
{{- fail (printf "image %s to Valkey: Redis 7.4 and later write RDB version 12, which Valkey refuses. %s" .image $why) -}}
{{- end -}}
{{- if and $from $wasValkey (not $valkey) -}}
{{- fail (printf "image %s to Redis %s: Valkey's files are its own from version 9 on, and Redis promises to read none of them. %s" .image $.Values.image.tag $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "redis.guardTopology" -}}
{{- $name := include "redis.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $deployment := lookup "apps/v1" "Deployment" $namespace $name -}}
{{- $statefulSet := lookup "apps/v1" "StatefulSet" $namespace $name -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $namespace (printf "%s-pvc" $name) -}}
{{- $podClaim := lookup "v1" "PersistentVolumeClaim" $namespace (printf "data-%s-0" $name) -}}
{{- $remedy := "Carry the data over first (or back it up, if it has no worth), then render with topology.transition: true" -}}
{{- if eq (include "redis.topology" .) "replication" -}}
{{- if $deployment -}}
{{- fail (printf "replicaCount: %d would replace Deployment %s/%s by an empty StatefulSet and leave its data behind in claim %s-pvc. %s; or go back to replicaCount: 1" (int64 .Values.replicaCount) $namespace $name $name $remedy) -}}
{{- end -}}
{{- $stale := dig "metadata" "annotations" "redis-gitops/stale-since" "" $claim -}}
{{- if and $claim (not $stale) (not $statefulSet) (not $podClaim) -}}
{{- fail (printf "claim %s/%s-pvc of a single Redis exists and replicaCount: %d would start empty beside it. %s; or go back to replicaCount: 1" $namespace $name (int64 .Values.replicaCount) $remedy) -}}
{{- end -}}
{{- else -}}
{{- if $statefulSet -}}
{{- fail (printf "replicaCount: 1 would replace StatefulSet %s/%s by an empty Deployment and leave its data behind in claim data-%s-0. %s; or go back to replicaCount: 2" $namespace $name $name $remedy) -}}
{{- end -}}
{{- if and $podClaim (not $deployment) (not $claim) -}}
{{- fail (printf "claim %s/data-%s-0 of a replicated Redis exists and replicaCount: 1 would start empty beside it. %s; or go back to replicaCount: 2" $namespace $name $remedy) -}}
{{- end -}}
{{- end -}}
{{- end }}

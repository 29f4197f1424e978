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
{{- if not .Values.topology.transition -}}
{{- include "redis.guardTopology" . -}}
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

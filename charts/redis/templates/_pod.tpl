{{- /* The pod of both topologies; they differ in the label, the argument of
start.sh and where /data comes from. */ -}}
{{- define "redis.podTemplate" -}}
metadata:
  labels:
    {{- include "redis.podLabels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "redis.configChecksum" . }}
    {{- if not .Values.secrets.existingSecret }}
    checksum/secret: {{ include "redis.authChecksum" . | quote }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "redis.podIdentity" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
  {{- with .Values.extra.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: redis
      image: {{ include "redis.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        - sh
        - /etc/redis/start.sh
        - {{ include "redis.topology" . }}
      {{- if or (eq (include "redis.topology" .) "replication") .Values.extra.env }}
      env:
        {{- if eq (include "redis.topology" .) "replication" }}
        {{- include "redis.podName" . | nindent 8 }}
        {{- end }}
        {{- with .Values.extra.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - name: redis
          containerPort: {{ int64 .Values.service.targetPort }}
          protocol: TCP
      {{- include "redis.containerSecurity" . | nindent 6 }}
      startupProbe:
        {{- include "redis.probe" (dict "script" "liveness.sh" "timings" .Values.startupProbe) | nindent 8 }}
      livenessProbe:
        {{- include "redis.probe" (dict "script" "liveness.sh" "timings" .Values.livenessProbe) | nindent 8 }}
      readinessProbe:
        {{- include "redis.probe" (dict "script" "readiness.sh" "timings" .Values.readinessProbe) | nindent 8 }}
      lifecycle:
        preStop:
          exec:
            command:
              - sh
              - /etc/redis/stop.sh
              - {{ sub (int64 .Values.terminationGracePeriodSeconds) 15 | quote }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: config
          mountPath: /etc/redis
          readOnly: true
        - name: secret
          mountPath: /run/secrets/redis
          readOnly: true
        - name: run
          mountPath: /run/redis
        {{- include "redis.tlsMount" . | nindent 8 }}
        {{- with .Values.extra.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extra.containers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{- toYaml . | nindent 6 }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "redis.podLabels" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
  volumes:
    {{- if eq (include "redis.topology" .) "standalone" }}
    - name: data
      {{- if .Values.persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ include "redis.fullname" . }}-pvc
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- include "redis.volumes" . | nindent 4 }}
    {{- with .Values.extra.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* What the pods of Redis, of Sentinel and of the backups have in common. */ -}}
{{- define "redis.podIdentity" -}}
serviceAccountName: {{ include "redis.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 .Values.podSecurityContext.runAsUser }}
  runAsGroup: {{ int64 .Values.podSecurityContext.runAsGroup }}
  fsGroup: {{ int64 .Values.podSecurityContext.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "redis.podName" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}

{{- define "redis.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
{{- end }}

{{- define "redis.tlsMount" -}}
{{- if .Values.tls.enabled -}}
- name: tls
  mountPath: /run/secrets/redis-tls
  readOnly: true
{{- end -}}
{{- end }}

{{- /* The scripts, the passwords and, in memory, what the scripts write. */ -}}
{{- define "redis.volumes" -}}
{{- $values := .Values.secrets -}}
- name: config
  configMap:
    name: {{ include "redis.fullname" . }}-config
- name: secret
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "redis.secretName" . }}
          items:
            - key: redis-password
              path: redis-password
            {{- if .Values.sentinel.enabled }}
            - key: sentinel-password
              path: sentinel-password
            {{- end }}
            {{- range .Values.acl.users }}
            - key: {{ .name }}-password
              path: {{ .name }}-password
            {{- end }}
            {{- if not $values.existingSecret }}
            - key: auth.conf
              path: auth.conf
            {{- end }}
      - secret:
          name: {{ include "redis.secretName" . }}
          optional: true
          items:
            - key: redis-password-previous
              path: redis-password-previous
            {{- range .Values.acl.users }}
            - key: {{ .name }}-password-previous
              path: {{ .name }}-password-previous
            {{- end }}
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "redis.tlsSecret" . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- /* redis-cli gives up a second before the kubelet does: its answer, or the
lack of one, is then the script's to judge. */ -}}
{{- define "redis.probe" -}}
exec:
  command:
    - sh
    - /etc/redis/{{ .script }}
    - {{ sub (int64 .timings.timeoutSeconds) 1 | quote }}
{{ toYaml .timings }}
{{- end }}

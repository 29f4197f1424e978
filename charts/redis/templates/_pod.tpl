{{- /* The pod of both topologies; they differ in the label, the argument of
start.sh and where /data comes from. */ -}}
{{- define "redis.podTemplate" -}}
metadata:
  labels:
    {{- include "redis.podLabels" . | nindent 4 }}
  annotations:
    checksum/config: {{ printf "%s%s%s" (include "redis.config" .) (.Files.Get "files/common.sh") (.Files.Get "files/start.sh") | sha256sum }}
    {{- if not .Values.secrets.existingSecret }}
    checksum/secret: {{ include "redis.authChecksum" . | quote }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "redis.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int64 .Values.podSecurityContext.runAsUser }}
    runAsGroup: {{ int64 .Values.podSecurityContext.runAsGroup }}
    fsGroup: {{ int64 .Values.podSecurityContext.fsGroup }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: redis
      image: {{ printf "%s:%s" .Values.image.repository .Values.image.tag | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        - sh
        - /etc/redis/start.sh
        - {{ include "redis.topology" . }}
      {{- if eq (include "redis.topology" .) "replication" }}
      env:
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
      {{- end }}
      ports:
        - name: redis
          containerPort: {{ int64 .Values.service.targetPort }}
          protocol: TCP
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
            - ALL
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
                {{- if not .Values.secrets.existingSecret }}
                - key: auth.conf
                  path: auth.conf
                {{- end }}
          - secret:
              name: {{ include "redis.secretName" . }}
              optional: true
              items:
                - key: redis-password-previous
                  path: redis-password-previous
    - name: run
      emptyDir:
        medium: Memory
        sizeLimit: 1Mi
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

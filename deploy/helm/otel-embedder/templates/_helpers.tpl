{{/* Where things are in the container. */}}
{{- define "otel-embedder.configFile" -}}/etc/otel-embedder/config/otel-embedder.yaml{{- end }}
{{- define "otel-embedder.socket" -}}/run/otel-embedder/otel-embedder.sock{{- end }}
{{- define "otel-embedder.catalogue" -}}/var/lib/otel-embedder{{- end }}

{{- define "otel-embedder.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "otel-embedder.selector" . }}
{{- end }}

{{- define "otel-embedder.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "otel-embedder.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "otel-embedder.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (print .Chart.AppVersion (.Values.page.enabled | ternary "-page" "")) }}
{{- end }}

{{- define "otel-embedder.isPageShared" -}}
{{- if and .Values.page.enabled .Values.secrets.pageTls.name .Values.secrets.pageToken.name }}true{{ end -}}
{{- end }}

{{/* The Operator names the Service of its Collector itself. */}}
{{- define "otel-embedder.serviceName" -}}
{{ include "otel-embedder.name" . }}{{ if eq .Values.mode "operator" }}-collector{{ end }}
{{- end }}

{{- define "otel-embedder.isPair" -}}
{{- if ne .Values.mode "gateway" }}true{{ end -}}
{{- end }}

{{- define "otel-embedder.nextHop" -}}
{{ required "nextHop: say where the gateway sends spans on to, http://HOST:PORT" .Values.nextHop }}
{{- end }}

{{- define "otel-embedder.backend" -}}
{{ required "collector.backend.endpoint: say where the Collector sends spans on to, HOST:PORT" .Values.collector.backend.endpoint }}
{{- end }}

{{/* What the program is told: the chart's own settings over those of the values. */}}
{{- define "otel-embedder.settings" -}}
{{- $secrets := .Values.secrets -}}
{{- $own := dict "metrics_listen" (printf "%s:%v" .Values.gateway.host .Values.ports.metrics) "shutdown_timeout" .Values.shutdown.timeoutSeconds -}}
{{- if include "otel-embedder.isPair" . -}}
{{- $_ := set $own "listen" (include "otel-embedder.pairAddress" .) -}}
{{- $_ := set $own "next_hop" "http://127.0.0.1:4337" -}}
{{- else -}}
{{- $_ := set $own "listen" (printf "%s:%v" .Values.gateway.host .Values.ports.otlp) -}}
{{- $_ := set $own "next_hop" (include "otel-embedder.nextHop" .) -}}
{{- if $secrets.tls.name -}}
{{- /* kubelet's probe has no certificate: it asks by a socket. */ -}}
{{- $_ := set $own "listen" (printf "%s,unix:%s" $own.listen (include "otel-embedder.socket" .)) -}}
{{- $_ := set $own "tls_certificate" "/etc/otel-embedder/tls/tls.crt" -}}
{{- $_ := set $own "tls_key" "/etc/otel-embedder/tls/tls.key" -}}
{{- else -}}
{{- $_ := set $own "listen_insecure" true -}}
{{- end -}}
{{- if $secrets.clientAuthority.name -}}
{{- $_ := set $own "tls_client_authority" (printf "/etc/otel-embedder/client-authority/%s" $secrets.clientAuthority.key) -}}
{{- end -}}
{{- if $secrets.bearerToken.name -}}
{{- $_ := set $own "bearer_token_file" (printf "/etc/otel-embedder/token/%s" $secrets.bearerToken.key) -}}
{{- end -}}
{{- if $secrets.nextHopClient.name -}}
{{- $_ := set $own "next_hop_client_certificate" "/etc/otel-embedder/next-hop-client/tls.crt" -}}
{{- $_ := set $own "next_hop_client_key" "/etc/otel-embedder/next-hop-client/tls.key" -}}
{{- end -}}
{{- if $secrets.nextHopAuthority.name -}}
{{- $_ := set $own "next_hop_certificate" (printf "/etc/otel-embedder/next-hop-authority/%s" $secrets.nextHopAuthority.key) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .Values.settings.workers) 1 -}}
{{- if .Values.page.enabled -}}
{{- fail "settings.workers: the page tells how one process does, not several workers; leave workers at 1, or page.enabled" -}}
{{- end -}}
{{- if include "otel-embedder.isPair" . -}}
{{- fail "settings.workers: the one connection of the Collector in the pod is one worker's; leave workers at 1" -}}
{{- end -}}
{{- end -}}
{{- if and $secrets.telemetryHeaders.name (not (or .Values.settings.metrics_otlp_endpoint .Values.settings.traces_otlp_endpoint)) -}}
{{- fail "secrets.telemetryHeaders: they go with the sidecar's own metrics, and none are sent; give settings.metrics_otlp_endpoint" -}}
{{- end -}}
{{- if .Values.page.enabled -}}
{{- $_ := set $own "http_listen" (printf "127.0.0.1:%v" .Values.ports.page) -}}
{{- if not .Values.settings.catalogue -}}
{{- $_ := set $own "catalogue" (printf "sqlite:///%s/spans.db" (include "otel-embedder.catalogue" .)) -}}
{{- end -}}
{{- if ne (empty $secrets.pageTls.name) (empty $secrets.pageToken.name) -}}
{{- fail "secrets.pageTls, secrets.pageToken: name both, or neither, and the page is shown in the pod alone" -}}
{{- end -}}
{{- if include "otel-embedder.isPageShared" . -}}
{{- $_ := set $own "http_listen" (printf "%s:%v" .Values.gateway.host .Values.ports.page) -}}
{{- $_ := set $own "http_certificate" "/etc/otel-embedder/page-tls/tls.crt" -}}
{{- $_ := set $own "http_key" "/etc/otel-embedder/page-tls/tls.key" -}}
{{- $_ := set $own "http_token_file" (printf "/etc/otel-embedder/page-token/%s" $secrets.pageToken.key) -}}
{{- if not .Values.settings.http_hosts -}}
{{- $host := include "otel-embedder.serviceName" . -}}
{{- $_ := set $own "http_hosts" (printf "localhost,%s,%s.%s,%s.%s.svc" $host $host .Release.Namespace $host .Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge $own .Values.settings) }}
{{- end }}

{{/* The setting max_inflight_bytes, which may have a unit, as a number: spelt as the sidecar reads it. */}}
{{- define "otel-embedder.inflightBytes" -}}
{{- $size := default "64MiB" .Values.settings.max_inflight_bytes -}}
{{- if not (kindIs "string" $size) -}}
{{- int64 $size -}}
{{- else -}}
{{- $units := dict "" 1 "b" 1 "k" 1e3 "kb" 1e3 "kib" 1024 "m" 1e6 "mb" 1e6 "mib" 1048576 "g" 1e9 "gb" 1e9 "gib" 1073741824 -}}
{{- $unit := regexReplaceAll "^\\s*\\d*\\.?\\d+\\s*(\\w*).*$" $size "${1}" | lower -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "settings.max_inflight_bytes: %s is no size; write bytes, or a number with KiB, MiB or GiB" $size) -}}
{{- end -}}
{{- int64 (mulf (float64 (regexFind "\\d*\\.?\\d+" $size)) (get $units $unit)) -}}
{{- end -}}
{{- end }}

{{/* What it may use. The numbers are those of docs/scale.md, by a test; in bytes, but for the first two. */}}
{{- define "otel-embedder.resources" -}}
{{- $settings := .Values.settings -}}
{{- $texts := int (default 200000 $settings.catalogue_texts) -}}
{{- $rest := mul 6000 (max 0 (sub (int (default 1000 $settings.cache_size)) 1000)) -}}
{{- $rest = add $rest (mul 150000000 (sub (int (default 1 $settings.workers)) 1)) -}}
{{- $inflight := int64 (include "otel-embedder.inflightBytes" .) -}}
{{- $worst := mul 2 (max 0 (sub $inflight 67108864)) -}}
{{- if or .Values.page.enabled $settings.catalogue -}}
{{- $rest = add $rest 34000000 (mul 200 $texts) -}}
{{- $worst = add $worst 201326592 -}}
{{- end -}}
{{- if .Values.page.enabled -}}
{{- $rest = add $rest 53000000 (mul 1900 $texts) -}}
{{- end -}}
{{- if eq (toString $settings.catalogue) "memory" -}}
{{- $rest = add $rest (mul 3100 $texts) -}}
{{- end -}}
{{- $resources := deepCopy .Values.resources -}}
{{- $requests := get $resources "requests" | default dict -}}
{{- $limits := get $resources "limits" | default dict -}}
{{- if and (hasKey $requests "memory") (not $requests.memory) -}}
{{- $_ := set $requests "memory" (printf "%dMi" (add 256 (div $rest 1048576))) -}}
{{- /* Under a limit of one's own Kubernetes asks for as much as that. */ -}}
{{- if $limits.memory -}}{{- $_ := unset $requests "memory" -}}{{- end -}}
{{- end -}}
{{- if and (hasKey $limits "memory") (not $limits.memory) -}}
{{- $_ := set $limits "memory" (printf "%dMi" (add 640 (div (add $rest $worst) 1048576))) -}}
{{- end -}}
{{- toYaml $resources }}
{{- end }}

{{- define "otel-embedder.pairAddress" -}}
{{- if eq .Values.pair.transport "socket" -}}
unix:{{ include "otel-embedder.socket" . }}
{{- else -}}
127.0.0.1:{{ .Values.ports.otlp }}
{{- end -}}
{{- end }}

{{/* The secrets that are files: name of the volume -> name of the secret. */}}
{{- define "otel-embedder.secretFiles" -}}
{{- $files := dict -}}
{{- if include "otel-embedder.isPageShared" . -}}
{{- $_ := set $files "page-tls" .Values.secrets.pageTls.name -}}
{{- $_ := set $files "page-token" .Values.secrets.pageToken.name -}}
{{- end -}}
{{- if not (include "otel-embedder.isPair" .) -}}
{{- range $volume, $secret := dict "tls" "tls" "client-authority" "clientAuthority" "token" "bearerToken" "next-hop-authority" "nextHopAuthority" "next-hop-client" "nextHopClient" -}}
{{- with (index $.Values.secrets $secret).name -}}{{- $_ := set $files $volume . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $files }}
{{- end }}

{{/* A variable of (its name, a secret), if the secret has a name. */}}
{{- define "otel-embedder.headers" -}}
{{- $secret := index . 1 -}}
{{- if $secret.name -}}
- name: OTEL_EMBEDDER_{{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}
{{- end -}}
{{- end }}

{{/* The sidecar's container; as an init container that goes on running it is a native sidecar. */}}
{{- define "otel-embedder.container" -}}
name: otel-embedder
image: {{ include "otel-embedder.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if include "otel-embedder.isPair" . }}
restartPolicy: Always
{{- end }}
args: [serve, --config, {{ include "otel-embedder.configFile" . }}]
{{- if or .Values.secrets.nextHopHeaders.name .Values.secrets.telemetryHeaders.name }}
env:
  {{- include "otel-embedder.headers" (list "NEXT_HOP_HEADERS" .Values.secrets.nextHopHeaders) | nindent 2 }}
  {{- include "otel-embedder.headers" (list "TELEMETRY_HEADERS" .Values.secrets.telemetryHeaders) | nindent 2 }}
{{- end }}
ports:
  {{- if not (include "otel-embedder.isPair" .) }}
  - {name: otlp, containerPort: {{ .Values.ports.otlp }}}
  {{- end }}
  - {name: metrics, containerPort: {{ .Values.ports.metrics }}}
  {{- if .Values.page.enabled }}
  - {name: page, containerPort: {{ .Values.ports.page }}}
  {{- end }}
{{- include "otel-embedder.probes" . }}
{{- if not (include "otel-embedder.isPair" .) }}
lifecycle:
  preStop:
    sleep: {seconds: {{ .Values.shutdown.preStopSeconds }}}
{{- end }}
resources: {{- include "otel-embedder.resources" . | nindent 2 }}
securityContext: {{- include "otel-embedder.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: embedder-config, mountPath: {{ include "otel-embedder.configFile" . | dir }}, readOnly: true}
  - {name: embedder-run, mountPath: {{ include "otel-embedder.socket" . | dir }}}
  - {name: embedder-tmp, mountPath: /tmp}
  {{- if .Values.page.enabled }}
  - {name: embedder-catalogue, mountPath: {{ include "otel-embedder.catalogue" . }}}
  {{- end }}
  {{- range $volume, $_ := include "otel-embedder.secretFiles" . | fromYaml }}
  - {name: {{ $volume }}, mountPath: /etc/otel-embedder/{{ $volume }}, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{/*
kubelet asks gRPC's health service itself where it can reach it. It reaches neither a socket nor the pod's
loopback, and has no TLS: there the program asks, which costs a third of a second of CPU each time. So in
a pair, to which no Service leads, nobody asks whether it is ready.
*/}}
{{- define "otel-embedder.probes" -}}
{{- $ask := "" -}}
{{- if or (include "otel-embedder.isPair" .) .Values.secrets.tls.name -}}
{{- $to := printf "unix:%s" (include "otel-embedder.socket" .) -}}
{{- if include "otel-embedder.isPair" . }}{{ $to = include "otel-embedder.pairAddress" . }}{{ end -}}
{{- $ask = printf "exec: {command: [otel-embedder, health, --to, %q]}" $to -}}
{{- else -}}
{{- $ask = printf "grpc: {port: %v}" .Values.ports.otlp -}}
{{- end }}
startupProbe:
  {{ $ask }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
{{- if not (include "otel-embedder.isPair" .) }}
readinessProbe:
  {{ $ask }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
livenessProbe:
  {{ $ask }}
  periodSeconds: 60
  timeoutSeconds: 10
  failureThreshold: 5
{{- end }}

{{/* Pod Security Standards: restricted. */}}
{{- define "otel-embedder.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "otel-embedder.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "otel-embedder.volumes" -}}
- name: embedder-config
  configMap: {name: {{ include "otel-embedder.name" . }}}
- name: embedder-run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: embedder-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if .Values.page.enabled }}
- name: embedder-catalogue
  emptyDir: {sizeLimit: {{ .Values.page.size }}}
{{- end }}
{{- range $volume, $secret := include "otel-embedder.secretFiles" . | fromYaml }}
- name: {{ $volume }}
  secret: {secretName: {{ $secret }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "otel-embedder.podMetadata" -}}
labels:
  {{- include "otel-embedder.labels" . | nindent 2 }}
  {{- with .Values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
annotations:
  # New settings, new pods.
  checksum/config: {{ include "otel-embedder.settings" . | sha256sum }}
  {{- with .Values.podAnnotations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- define "otel-embedder.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/*
A Collector's configuration of collector-config/, with its variables filled in: those of `values`, and the
defaults that the file gives itself for the others.
*/}}
{{- define "otel-embedder.collectorConfig" -}}
{{- $text := .text -}}
{{- range $variable, $value := .values -}}
{{- $text = regexReplaceAllLiteral (printf "\\$\\{env:%s(:-[^}]*)?\\}" $variable) $text $value -}}
{{- end -}}
{{- regexReplaceAll "\\$\\{env:[A-Z_]+:-([^}]*)\\}" $text "${1}" -}}
{{- end }}

{{- define "otel-embedder.pairCollectorConfig" -}}
{{- $backend := include "otel-embedder.backend" . -}}
{{- $sidecar := printf "127.0.0.1:%v" .Values.ports.otlp -}}
{{- if eq .Values.pair.transport "socket" }}{{ $sidecar = printf "unix://%s" (include "otel-embedder.socket" .) }}{{ end -}}
{{- $values := dict "OTELCOL_APPS_ENDPOINT" (printf "%s:4317" .Values.gateway.host) "OTELCOL_SIDECAR_ENDPOINT" $sidecar "OTELCOL_BACKEND_ENDPOINT" $backend "OTELCOL_BACKEND_INSECURE" (toString .Values.collector.backend.insecure) "OTELCOL_HEALTH_ENDPOINT" (printf "%s:13133" .Values.gateway.host) -}}
{{- include "otel-embedder.collectorConfig" (dict "text" (.Files.Get "files/sidecar.yaml") "values" $values) -}}
{{- end }}

{{- define "otel-embedder.collectorMounts" -}}
- {name: spans, mountPath: /var/lib/otelcol/spans}
- {name: embedder-run, mountPath: {{ include "otel-embedder.socket" . | dir }}}
{{- end }}

{{- define "otel-embedder.collectorContainer" -}}
name: collector
image: {{ .Values.collector.image.repository }}:{{ .Values.collector.image.tag }}
imagePullPolicy: {{ .Values.collector.image.pullPolicy }}
args: [--config, /etc/otelcol/collector.yaml]
ports:
  - {name: otlp, containerPort: 4317}
  - {name: health, containerPort: 13133}
readinessProbe:
  httpGet: {path: /, port: health}
livenessProbe:
  httpGet: {path: /, port: health}
  periodSeconds: 30
  failureThreshold: 5
lifecycle:
  preStop:
    sleep: {seconds: {{ .Values.shutdown.preStopSeconds }}}
resources: {{- toYaml .Values.collector.resources | nindent 2 }}
securityContext: {{- include "otel-embedder.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: collector-config, mountPath: /etc/otelcol, readOnly: true}
  {{- include "otel-embedder.collectorMounts" . | nindent 2 }}
{{- end }}

{{/* The time from the first word to the last: first the Collector's, then the sidecar's. */}}
{{- define "otel-embedder.gracePeriod" -}}
{{- $seconds := add .Values.shutdown.preStopSeconds .Values.shutdown.timeoutSeconds 10 -}}
{{- if include "otel-embedder.isPair" . }}{{ $seconds = add $seconds .Values.collector.timeoutSeconds }}{{ end -}}
{{ $seconds }}
{{- end }}

{{/* The pod of a Collector with its sidecar, less what keeps its spans. */}}
{{- define "otel-embedder.pairPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "otel-embedder.gracePeriod" . }}
securityContext: {{- include "otel-embedder.podSecurity" . | nindent 2 }}
{{- include "otel-embedder.placement" . }}
initContainers:
  - {{ include "otel-embedder.container" . | nindent 4 | trim }}
containers:
  - {{ include "otel-embedder.collectorContainer" . | nindent 4 | trim }}
volumes:
  {{- include "otel-embedder.volumes" . | nindent 2 }}
  - name: collector-config
    configMap: {name: {{ include "otel-embedder.name" . }}-collector}
{{- end }}

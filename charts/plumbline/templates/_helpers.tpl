{{/* The chart's name, cut to what a label may hold. */}}
{{- define "plumbline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name that all objects begin with: the release's own where that says what it is. */}}
{{- define "plumbline.fullname" -}}
{{- $name := include "plumbline.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 43 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Where everything goes that has a namespace. */}}
{{- define "plumbline.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* What finds the pods; never changes, because a Deployment's selector cannot. */}}
{{- define "plumbline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "plumbline.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of every object: those that everybody has go before those of one's own. */}}
{{- define "plumbline.labels" -}}
{{- $own := include "plumbline.ownLabels" . | fromYaml }}
{{- mergeOverwrite (dict) (.Values.commonLabels | default dict) $own | toYaml }}
{{- end }}

{{- define "plumbline.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "plumbline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: plumbline
{{- end }}

{{/* The ServiceAccount that the operator runs as. */}}
{{- define "plumbline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "plumbline.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Registry, repository, and the digest where there is one; a tag beside it says which version that is. */}}
{{- define "plumbline.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry }}
{{- $image := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") }}
{{- if .Values.image.digest }}
{{- with .Values.image.tag }}{{ $image = printf "%s:%s" $image . }}{{ end }}
{{- printf "%s@%s" $image .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $image (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Whether a flag is among the arguments of one's own. */}}
{{- define "plumbline.argument" -}}
{{- $flag := index . 1 }}
{{- range (index . 0).Values.extraArgs }}
{{- if has . (list $flag (printf "%s=true" $flag)) }}true{{ end }}
{{- end }}
{{- end }}

{{/* Whether the operator may change accounts, however that was said: then it needs rights on records. */}}
{{- define "plumbline.enforces" -}}
{{- $asked := or .Values.enforcement.enabled (.Values.config).enforce }}
{{- if or $asked (include "plumbline.argument" (list . "--enforce")) }}true{{ end }}
{{- end }}

{{/* Whether the operator holds a Lease while it works. */}}
{{- define "plumbline.elects" -}}
{{- $asked := or .Values.leaderElection.enabled (.Values.config).leaderElect }}
{{- $needed := include "plumbline.enforces" . }}
{{- if or $asked $needed (include "plumbline.argument" (list . "--leader-elect")) }}true{{ end }}
{{- end }}

{{/* The arguments of the operator. What values leave out is left to the config file and the operator's defaults. */}}
{{- define "plumbline.args" -}}
- controller
- --metrics-bind-address={{ ternary ":8080" "0" .Values.metrics.enabled }}
- --health-probe-bind-address=:8081
{{- if .Values.config }}
- --config=/etc/plumbline/config.yaml
{{- end }}
{{- if .Values.leaderElection.enabled }}
- --leader-elect
{{- end }}
{{- with .Values.leaderElection.leaseDuration }}
- --lease-duration={{ . }}
{{- end }}
{{- if .Values.enforcement.enabled }}
- --enforce
{{- end }}
{{- with .Values.enforcement.maxChangesPerHour }}
- --max-changes-per-hour={{ int64 . }}
{{- end }}
{{- with .Values.enforcement.recordRetention }}
- --record-retention={{ . }}
{{- end }}
{{- with .Values.enforcement.recordsPerAccount }}
- --records-per-account={{ int64 . }}
{{- end }}
{{- with .Values.selector }}
- {{ printf "--selector=%s" . | quote }}
{{- end }}
{{- with .Values.concurrency }}
- --concurrency={{ int64 . }}
{{- end }}
{{- with .Values.accountTimeout }}
- --account-timeout={{ . }}
{{- end }}
{{- range $service := list "ec2" "iam" "s3" }}
{{- with index $.Values.callRates $service }}
- --{{ $service }}-calls-per-second={{ int64 . }}
{{- end }}
{{- end }}
{{- with .Values.log.level }}
- {{ printf "--log-level=%s" . | quote }}
{{- end }}
{{- with .Values.log.format }}
- --log-format={{ . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ tpl . $ | quote }}
{{- end }}
{{- end }}

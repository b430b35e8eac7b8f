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
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry | default "" }}
{{- $image := ternary (printf "%s/%s" $registry .Values.image.repository) .Values.image.repository (ne $registry "") }}
{{- if .Values.image.digest }}
{{- with .Values.image.tag }}{{ $image = printf "%s:%s" $image . }}{{ end }}
{{- printf "%s@%s" $image .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $image (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Whether a text is one that the operator takes for yes. */}}
{{- define "plumbline.yes" -}}
{{- if has (toString . | lower) (list "true" "yes" "y" "t" "on" "1") }}true{{ end }}
{{- end }}

{{/* Whether a switch is on among the arguments, the variables or in the config file of one's own: the values, the flag
without its dashes, and the key. Of `extraEnvFrom` nothing is known here. */}}
{{- define "plumbline.asked" -}}
{{- $root := index . 0 }}
{{- $flag := printf "--%s" (index . 1) }}
{{- range $root.Values.extraArgs }}
{{- $said := tpl . $root }}
{{- if eq $said $flag }}true{{ end }}
{{- $value := trimPrefix (printf "%s=" $flag) $said }}
{{- if ne $value $said }}{{ include "plumbline.yes" $value }}{{ end }}
{{- end }}
{{- $variable := printf "PLUMBLINE_%s" (index . 1 | replace "-" "_" | upper) }}
{{- range $root.Values.extraEnv }}
{{- if eq .name $variable }}{{ include "plumbline.yes" .value }}{{ end }}
{{- end }}
{{- include "plumbline.yes" (get ($root.Values.config | default dict) (index . 2)) }}
{{- end }}

{{/* Whether the operator may change accounts, however that was said: then it needs rights on records. */}}
{{- define "plumbline.enforces" -}}
{{- if or .Values.enforcement.enabled (include "plumbline.asked" (list . "enforce" "enforce")) }}true{{ end }}
{{- end }}

{{/* Whether the operator holds a Lease while it works. */}}
{{- define "plumbline.elects" -}}
{{- $asked := or .Values.leaderElection.enabled (include "plumbline.asked" (list . "leader-elect" "leaderElect")) }}
{{- if or $asked (include "plumbline.enforces" .) }}true{{ end }}
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
{{- with index ($.Values.callRates | default dict) $service }}
- --{{ $service }}-calls-per-second={{ int64 . }}
{{- end }}
{{- end }}
{{- with (.Values.log).level }}
- {{ printf "--log-level=%s" . | quote }}
{{- end }}
{{- with (.Values.log).format }}
- --log-format={{ . }}
{{- end }}
{{- range .Values.extraArgs }}
{{- $flag := tpl . $ | splitList "=" | first }}
{{- if or (has $flag (list "--metrics-bind-address" "--health-probe-bind-address"))
  (and (eq $flag "--log-format") ($.Values.log).format)
  (and (eq $flag "--leader-elect") $.Values.leaderElection.enabled)
  (and (eq $flag "--enforce") $.Values.enforcement.enabled) }}
{{- fail (printf "extraArgs: the chart says %s itself, and it can be said once: set its value instead" $flag) }}
{{- end }}
- {{ tpl . $ | quote }}
{{- end }}
{{- end }}

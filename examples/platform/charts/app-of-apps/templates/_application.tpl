{{/*
One child Application. Takes (dict "root" $ "name" <name> "component" <block of values.yaml>).
releaseName and values of the block are templates themselves.
*/}}
{{- define "app-of-apps.application" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- if $component.enable }}
{{- $source := mergeOverwrite (deepCopy $root.Values.source) $component.source }}
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {{ $root.Values.cluster.name }}-{{ .name }}
  namespace: argocd
  finalizers:
    - resources-finalizer.argocd.argoproj.io
  labels:
    team: ops
    cluster: {{ $root.Values.cluster.name }}
  {{- with $component.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  project: {{ $component.project }}
  source:
    repoURL: {{ $source.repoURL }}
    path: {{ $source.path }}
    targetRevision: {{ $source.targetRevision }}
    helm:
      releaseName: {{ tpl $source.helm.releaseName $root }}
      {{- with $source.helm.valueFiles }}
      valueFiles:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $source.helm.values }}
      values: |
        {{- tpl . $root | nindent 8 }}
      {{- end }}
      {{- with $source.helm.parameters }}
      parameters:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  destination:
    {{- if $root.Values.cluster.server }}
    server: {{ $root.Values.cluster.server }}
    {{- else }}
    name: {{ $root.Values.cluster.name }}
    {{- end }}
    namespace: {{ $component.namespace }}
  syncPolicy:
    automated:
      selfHeal: true
      prune: true
    syncOptions:
      - Validate=true
      - CreateNamespace=true
      - ApplyOutOfSyncOnly=true
      {{- with $component.syncOptions }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $component.retry }}
    retry:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end }}

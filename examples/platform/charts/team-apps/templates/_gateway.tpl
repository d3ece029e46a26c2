{{/* The parentRef of every route; takes the section name of the listener. */}}
{{- define "team-apps.parent" -}}
- name: {{ .root.Values.gateway.name }}
  namespace: {{ .root.Values.gateway.namespace }}
  sectionName: {{ .section }}
{{- end }}

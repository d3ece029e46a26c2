package kubelet

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// errMissing marks what may still come: a Secret or ConfigMap, or a key in it.
var errMissing = errors.New("not found")

// field reads a downward API field.
func field(pod *corev1.Pod, path, podIP, hostIP string) (string, error) {
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return pairs(pod.Labels), nil
	case "metadata.annotations":
		return pairs(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return podIP, nil
	case "status.hostIP", "status.hostIPs":
		return hostIP, nil
	}
	for prefix, values := range map[string]map[string]string{"metadata.labels": pod.Labels, "metadata.annotations": pod.Annotations} {
		if key, found := strings.CutPrefix(path, prefix+"['"); found {
			return values[strings.TrimSuffix(key, "']")], nil
		}
	}
	return "", fmt.Errorf("field %s is not supported by the rig", path)
}

func pairs(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for key, value := range values {
		lines = append(lines, fmt.Sprintf("%s=%q", key, value))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// expand replaces $(NAME) by a variable that is known, $$ by $, and leaves everything else as it is.
func expand(text string, known map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				out.WriteByte('$')
				continue
			}
			if value, found := known[text[i+2:i+end]]; found {
				out.WriteString(value)
			} else {
				out.WriteString(text[i : i+end+1])
			}
			i += end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// environment gives a container's variables. errMissing means: try again later.
func (w *worker) environment(container *corev1.Container) (map[string]string, error) {
	vars := map[string]string{
		"PATH": "/rig/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "HOSTNAME": w.pod.Name,
		// No kube-proxy stands behind the service's address, so pods are told the API server's own.
		"KUBERNETES_SERVICE_HOST": w.k.NodeIP, "KUBERNETES_SERVICE_PORT": "6443", "KUBERNETES_SERVICE_PORT_HTTPS": "6443",
	}
	for _, from := range container.EnvFrom {
		values, err := w.from(from)
		if err != nil {
			return nil, err
		}
		for key, value := range values {
			vars[from.Prefix+key] = value
		}
	}
	for _, variable := range container.Env {
		if variable.ValueFrom == nil {
			vars[variable.Name] = expand(variable.Value, vars)
			continue
		}
		value, found, err := w.valueFrom(variable.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
		}
		if found {
			vars[variable.Name] = value
		}
	}
	return vars, nil
}

func (w *worker) from(from corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.ConfigMapRef != nil:
		return texts(w.configMap(from.ConfigMapRef.Name, from.ConfigMapRef.Optional))
	case from.SecretRef != nil:
		return texts(w.secret(from.SecretRef.Name, from.SecretRef.Optional))
	}
	return map[string]string{}, nil
}

func texts(data map[string][]byte, err error) (map[string]string, error) {
	out := make(map[string]string, len(data))
	for key, value := range data {
		out[key] = string(value)
	}
	return out, err
}

func (w *worker) valueFrom(source *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case source.FieldRef != nil:
		value, err := field(w.pod, source.FieldRef.FieldPath, w.ip(), w.k.NodeIP)
		return value, true, err
	case source.SecretKeyRef != nil:
		ref := source.SecretKeyRef
		data, err := w.secret(ref.Name, ref.Optional)
		return pick(data, err, ref.Key, ref.Optional)
	case source.ConfigMapKeyRef != nil:
		ref := source.ConfigMapKeyRef
		data, err := w.configMap(ref.Name, ref.Optional)
		return pick(data, err, ref.Key, ref.Optional)
	}
	return "", false, errors.New("this kind of valueFrom is not supported by the rig")
}

func pick(data map[string][]byte, err error, key string, optional *bool) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	value, found := data[key]
	if !found && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("key %s %w", key, errMissing)
	}
	return string(value), found, nil
}

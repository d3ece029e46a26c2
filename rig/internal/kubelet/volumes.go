package kubelet

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"portolan.dev/rig/internal/sandbox"
)

func (w *worker) secret(name string, optional *bool) (map[string][]byte, error) {
	secret, err := w.k.secrets.Secrets(w.pod.Namespace).Get(name)
	if err != nil {
		return nil, missing("secret", name, err, optional)
	}
	return secret.Data, nil
}

func (w *worker) configMap(name string, optional *bool) (map[string][]byte, error) {
	config, err := w.k.configMaps.ConfigMaps(w.pod.Namespace).Get(name)
	if err != nil {
		return nil, missing("configmap", name, err, optional)
	}
	data := make(map[string][]byte, len(config.Data)+len(config.BinaryData))
	for key, value := range config.Data {
		data[key] = []byte(value)
	}
	maps.Copy(data, config.BinaryData)
	return data, nil
}

func missing(kind, name string, err error, optional *bool) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q %w", kind, name, errMissing)
}

// project chooses and renames keys, as the items of a volume say.
func project(data map[string][]byte, items []corev1.KeyToPath, optional *bool) (map[string][]byte, error) {
	if len(items) == 0 {
		return data, nil
	}
	out := map[string][]byte{}
	for _, item := range items {
		value, found := data[item.Key]
		if !found {
			if optional != nil && *optional {
				continue
			}
			return nil, fmt.Errorf("key %q %w", item.Key, errMissing)
		}
		out[item.Path] = value
	}
	return out, nil
}

// content gives the files of a volume that the API server fills, or false for a volume of another kind.
func (w *worker) content(ctx context.Context, volume *corev1.Volume) (map[string][]byte, bool, error) {
	switch {
	case volume.Secret != nil:
		data, err := w.secret(volume.Secret.SecretName, volume.Secret.Optional)
		if err != nil {
			return nil, true, err
		}
		data, err = project(data, volume.Secret.Items, volume.Secret.Optional)
		return data, true, err
	case volume.ConfigMap != nil:
		data, err := w.configMap(volume.ConfigMap.Name, volume.ConfigMap.Optional)
		if err != nil {
			return nil, true, err
		}
		data, err = project(data, volume.ConfigMap.Items, volume.ConfigMap.Optional)
		return data, true, err
	case volume.DownwardAPI != nil:
		data, err := w.downward(volume.DownwardAPI.Items)
		return data, true, err
	case volume.Projected != nil:
		all := map[string][]byte{}
		for i := range volume.Projected.Sources {
			data, err := w.projection(ctx, &volume.Projected.Sources[i])
			if err != nil {
				return nil, true, err
			}
			maps.Copy(all, data)
		}
		return all, true, nil
	}
	return nil, false, nil
}

func (w *worker) downward(items []corev1.DownwardAPIVolumeFile) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, item := range items {
		if item.FieldRef == nil {
			return nil, fmt.Errorf("%s: only fieldRef is supported by the rig", item.Path)
		}
		value, err := field(w.pod, item.FieldRef.FieldPath, w.ip(), w.k.NodeIP)
		if err != nil {
			return nil, err
		}
		out[item.Path] = []byte(value)
	}
	return out, nil
}

func (w *worker) projection(ctx context.Context, source *corev1.VolumeProjection) (map[string][]byte, error) {
	switch {
	case source.Secret != nil:
		data, err := w.secret(source.Secret.Name, source.Secret.Optional)
		if err != nil {
			return nil, err
		}
		return project(data, source.Secret.Items, source.Secret.Optional)
	case source.ConfigMap != nil:
		data, err := w.configMap(source.ConfigMap.Name, source.ConfigMap.Optional)
		if err != nil {
			return nil, err
		}
		return project(data, source.ConfigMap.Items, source.ConfigMap.Optional)
	case source.DownwardAPI != nil:
		return w.downward(source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil:
		token, err := w.token(ctx, source.ServiceAccountToken)
		return map[string][]byte{source.ServiceAccountToken.Path: []byte(token)}, err
	}
	return nil, errors.New("this kind of projected source is not supported by the rig")
}

// token asks for a token once per pod and audience; it is valid longer than any run, so it is never renewed.
func (w *worker) token(ctx context.Context, source *corev1.ServiceAccountTokenProjection) (string, error) {
	if token, found := w.tokens[source.Audience]; found {
		return token, nil
	}
	lifetime := int64(24 * 60 * 60)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &lifetime,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: w.pod.Name, UID: w.pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	answer, err := w.k.Client.CoreV1().ServiceAccounts(w.pod.Namespace).CreateToken(ctx, w.pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	w.tokens[source.Audience] = answer.Status.Token
	return answer.Status.Token, nil
}

// volumeDir is where a volume stands on the machine.
func (w *worker) volumeDir(name string) string { return filepath.Join(w.dir, "volumes", name) }

// materialise writes every volume. What it has written before and did not change stays untouched.
func (w *worker) materialise(ctx context.Context) error {
	for i := range w.pod.Spec.Volumes {
		volume := &w.pod.Spec.Volumes[i]
		data, filled, err := w.content(ctx, volume)
		if err != nil {
			return fmt.Errorf("volume %q: %w", volume.Name, err)
		}
		switch {
		case filled:
			if err := w.writeVolume(volume.Name, data); err != nil {
				return err
			}
		case volume.EmptyDir != nil:
			if err := os.MkdirAll(w.volumeDir(volume.Name), 0o777); err != nil { //nolint:gosec
				return err
			}
		case volume.HostPath != nil:
		default:
			return fmt.Errorf("volume %q: this kind of volume is not supported by the rig", volume.Name)
		}
	}
	return nil
}

// writeVolume changes all files of a volume at once, as a kubelet does: the names are links through "..data", which is
// replaced by a rename, so that no reader ever sees a certificate with the key of another.
func (w *worker) writeVolume(name string, data map[string][]byte) error {
	print := fingerprint(data)
	if w.written[name] == print {
		return nil
	}
	dir := w.volumeDir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec
		return err
	}
	fresh, err := os.MkdirTemp(dir, "..gen")
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil { //nolint:gosec
		return err
	}
	for path, value := range data {
		if strings.Contains(path, "..") || filepath.IsAbs(path) {
			return fmt.Errorf("volume %q: the path %q leaves it", name, path)
		}
		file := filepath.Join(fresh, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec
			return err
		}
		if err := os.WriteFile(file, value, 0o644); err != nil { //nolint:gosec
			return err
		}
	}
	old, _ := os.Readlink(filepath.Join(dir, "..data"))
	next := filepath.Join(dir, "..next")
	if err := os.Symlink(filepath.Base(fresh), next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		return err
	}
	if err := relink(dir, data); err != nil {
		return err
	}
	if old != "" {
		_ = os.RemoveAll(filepath.Join(dir, old))
	}
	w.written[name] = print
	return nil
}

// relink makes the visible names those of the data.
func relink(dir string, data map[string][]byte) error {
	wanted := map[string]bool{}
	for path := range data {
		first, _, _ := strings.Cut(path, "/")
		wanted[first] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		if wanted[entry.Name()] {
			delete(wanted, entry.Name())
		} else if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	for name := range wanted {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func fingerprint(data map[string][]byte) string {
	values := make(map[string]string, len(data))
	for key, value := range data {
		values[key] = base64.StdEncoding.EncodeToString(value)
	}
	return "=" + pairs(values)
}

// mounts gives the mounts of a container.
func (w *worker) mounts(container *corev1.Container) ([]sandbox.Mount, error) {
	sources := map[string]string{}
	for i := range w.pod.Spec.Volumes {
		volume := &w.pod.Spec.Volumes[i]
		sources[volume.Name] = w.volumeDir(volume.Name)
		if volume.HostPath != nil {
			sources[volume.Name] = volume.HostPath.Path
		}
	}
	var out []sandbox.Mount
	for _, mount := range container.VolumeMounts {
		source, found := sources[mount.Name]
		if !found {
			return nil, fmt.Errorf("no volume %q", mount.Name)
		}
		if strings.Contains(mount.SubPath, "..") || mount.SubPathExpr != "" {
			return nil, fmt.Errorf("volume %q: this subPath is not supported by the rig", mount.Name)
		}
		out = append(out, sandbox.Mount{Source: filepath.Join(source, mount.SubPath), Target: mount.MountPath, ReadOnly: mount.ReadOnly})
	}
	return out, nil
}

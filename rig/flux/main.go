// Renders as Flux's controllers do, by the packages that they are made of: for each line of standard input,
// {"dir": "/checkout", "objects": […]}, one line {"objects": […]} or {"error": "…"}. Among the objects are one Kustomization or
// HelmRelease, its GitRepository, and the ConfigMaps and Secrets that it refers to. Helm is taken from PATH, for charts.
// "lenient": true stands for a controller with StrictPostBuildSubstitutions=false.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/artifact/storage"
	"github.com/fluxcd/pkg/chartutil"
	"github.com/fluxcd/pkg/kustomize"
	"github.com/fluxcd/pkg/sourceignore"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"github.com/fluxcd/pkg/tar"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

type asked struct {
	Dir     string                      `json:"dir"`
	Objects []unstructured.Unstructured `json:"objects"`
	Lenient bool                        `json:"lenient"`
}

type answer struct {
	Objects []map[string]any `json:"objects"`
	Error   string           `json:"error,omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var a asked
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		var said answer
		objects, err := render(a)
		if err != nil {
			said.Error = err.Error()
		}
		said.Objects = objects
		if err := out.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}

func render(a asked) ([]map[string]any, error) {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "flux-render-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	source, err := a.one("GitRepository")
	if err != nil {
		return nil, err
	}
	if err := artifact(ctx, a.Dir, source, root); err != nil {
		return nil, err
	}
	if release, err := a.one("HelmRelease"); err == nil {
		return a.release(ctx, root, release)
	}
	one, err := a.one("Kustomization")
	if err != nil {
		return nil, err
	}
	return a.kustomization(ctx, root, one)
}

func (a asked) one(kind string) (unstructured.Unstructured, error) {
	for _, object := range a.Objects {
		if object.GetKind() == kind {
			return object, nil
		}
	}
	return unstructured.Unstructured{}, fmt.Errorf("there is no %s", kind)
}

// artifact makes what source-controller makes of a checkout, and unpacks it as the other controllers do.
func artifact(ctx context.Context, dir string, source unstructured.Unstructured, into string) error {
	domain := strings.Split(dir, string(filepath.Separator))
	patterns, err := sourceignore.LoadIgnorePatterns(dir, domain)
	if err != nil {
		return err
	}
	if ignore, ok, _ := unstructured.NestedString(source.Object, "spec", "ignore"); ok {
		patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(ignore), domain)...)
	}
	kept, err := os.MkdirTemp("", "flux-artifact-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(kept)
	made := meta.Artifact{Path: "artifact.tar.gz"}
	if err := (storage.Storage{BasePath: kept}).Archive(&made, dir, storage.SourceIgnoreFilter(patterns, domain)); err != nil {
		return err
	}
	packed, err := os.Open(filepath.Join(kept, made.Path))
	if err != nil {
		return err
	}
	defer packed.Close()
	return tar.Untar(packed, into, tar.WithMaxUntarSize(-1))
}

// kustomization is what kustomize-controller does before it applies.
func (a asked) kustomization(ctx context.Context, root string, one unstructured.Unstructured) ([]map[string]any, error) {
	path, _, _ := unstructured.NestedString(one.Object, "spec", "path")
	dir := filepath.Join(root, path)
	if _, err := kustomize.NewGenerator(root, one).WriteFile(dir); err != nil {
		return nil, err
	}
	built, err := kustomize.SecureBuild(root, dir, false)
	if err != nil {
		return nil, err
	}
	post, substitutes, _ := unstructured.NestedMap(one.Object, "spec", "postBuild")
	var objects []*unstructured.Unstructured
	for _, resource := range built.Resources() {
		if substitutes {
			always := post["substituteStrategy"] == "Always"
			filled, err := kustomize.SubstituteVariables(ctx, cluster{asked: a}, one, resource,
				kustomize.SubstituteWithAlways(always), kustomize.SubstituteWithStrict(!a.Lenient))
			if err != nil {
				return nil, err
			}
			if filled != nil {
				if _, err := built.Replace(filled); err != nil {
					return nil, err
				}
				resource = filled
			}
		}
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		read, err := ssautil.ReadObjects(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
	}
	labels, _, _ := unstructured.NestedStringMap(one.Object, "spec", "commonMetadata", "labels")
	annotations, _, _ := unstructured.NestedStringMap(one.Object, "spec", "commonMetadata", "annotations")
	ssautil.SetCommonMetadata(objects, labels, annotations)
	var all []map[string]any
	for _, object := range objects {
		all = append(all, object.Object)
	}
	return all, nil
}

// release gives the values to Helm that helm-controller gives to it.
func (a asked) release(ctx context.Context, root string, release unstructured.Unstructured) ([]map[string]any, error) {
	var spec struct {
		Chart struct {
			Spec struct {
				Chart string `json:"chart"`
			} `json:"spec"`
		} `json:"chart"`
		ReleaseName     string                 `json:"releaseName"`
		TargetNamespace string                 `json:"targetNamespace"`
		Values          map[string]any         `json:"values"`
		ValuesFrom      []meta.ValuesReference `json:"valuesFrom"`
	}
	text, err := json.Marshal(release.Object["spec"])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, err
	}
	values, err := chartutil.ChartValuesFromReferences(ctx, logr.Discard(), cluster{asked: a}, release.GetNamespace(), spec.Values, spec.ValuesFrom...)
	if err != nil {
		return nil, err
	}
	text, err = json.Marshal(values)
	if err != nil {
		return nil, err
	}
	name, namespace := spec.ReleaseName, spec.TargetNamespace
	if name == "" {
		name = strings.TrimPrefix(namespace+"-"+release.GetName(), "-")
	}
	if namespace == "" {
		namespace = release.GetNamespace()
	}
	command := exec.Command("helm", "template", name, filepath.Join(root, spec.Chart.Spec.Chart), "--namespace", namespace, "--include-crds", "--values", "-")
	command.Stdin = bytes.NewReader(text)
	var said bytes.Buffer
	command.Stderr = &said
	rendered, err := command.Output()
	if err != nil {
		return nil, errors.New(said.String())
	}
	objects, err := ssautil.ReadObjects(bytes.NewReader(rendered))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var all []map[string]any
	for _, object := range objects {
		all = append(all, object.Object)
	}
	return all, nil
}

// What follows lets the objects of the question be asked for as in a cluster.

func (a asked) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	kind := "ConfigMap"
	if _, is := into.(*corev1.Secret); is {
		kind = "Secret"
	}
	for _, object := range a.Objects {
		if object.GetKind() == kind && object.GetName() == key.Name && object.GetNamespace() == key.Namespace {
			text, err := yaml.Marshal(object.Object)
			if err != nil {
				return err
			}
			if err := yaml.Unmarshal(text, into); err != nil {
				return err
			}
			if secret, is := into.(*corev1.Secret); is {
				// The API server does this.
				for name, value := range secret.StringData {
					if secret.Data == nil {
						secret.Data = map[string][]byte{}
					}
					secret.Data[name] = []byte(value)
				}
			}
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, key.Name)
}

// cluster answers for nothing but Get.
type cluster struct {
	client.Client
	asked
}

func (c cluster) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	return c.asked.Get(ctx, key, into, options...)
}

func (c cluster) Scheme() *runtime.Scheme { return runtime.NewScheme() }

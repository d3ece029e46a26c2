// Renders as Argo CD's repo-server does: for each line of standard input, {"dir": "/checkout", "application": {…}}, one line
// {"objects": […]} or {"error": "…"}. Helm and Kustomize are taken from PATH, as there.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	"github.com/argoproj/argo-cd/v3/reposerver/repository"
	"github.com/argoproj/argo-cd/v3/util/git"
	utilio "github.com/argoproj/argo-cd/v3/util/io"
	"k8s.io/apimachinery/pkg/api/resource"
)

type asked struct {
	Dir         string               `json:"dir"`
	Application v1alpha1.Application `json:"application"`
}

type answer struct {
	Objects []json.RawMessage `json:"objects"`
	Error   string            `json:"error,omitempty"`
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
		if err := out.Encode(render(a)); err != nil {
			os.Exit(1)
		}
	}
}

func render(a asked) answer {
	source := a.Application.Spec.GetSource()
	request := &apiclient.ManifestRequest{
		Repo:              &v1alpha1.Repository{Repo: source.RepoURL},
		AppName:           a.Application.Name,
		Namespace:         a.Application.Spec.Destination.Namespace,
		ApplicationSource: &source,
		KustomizeOptions:  &v1alpha1.KustomizeOptions{},
		HelmOptions:       &v1alpha1.HelmOptions{},
		ProjectName:       a.Application.Spec.Project,
		TrackingMethod:    "annotation",
	}
	made, err := repository.GenerateManifests(context.Background(), filepath.Join(a.Dir, source.Path), a.Dir, "HEAD", request,
		true, git.NoopCredsStore{}, resource.MustParse("100M"), utilio.NewRandomizedTempPaths(os.TempDir()))
	if err != nil {
		return answer{Error: err.Error()}
	}
	var all answer
	for _, text := range made.Manifests {
		all.Objects = append(all.Objects, json.RawMessage(text))
	}
	return all
}

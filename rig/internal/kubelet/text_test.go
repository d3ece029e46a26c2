package kubelet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestImagesAreKnownByTheirRepository(t *testing.T) {
	images := Images{}
	if err := images.Add("portolan/portolan=/bin/portolan,/bin/envoy"); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{
		"portolan/portolan", "portolan/portolan:v1", "host.example/portolan/portolan@sha256:00", "localhost:5000/portolan/portolan:v1@sha256:00",
	} {
		if program, found := images.Find(image); !found || program.Argv[0] != "/bin/portolan" || program.Beside[0] != "/bin/envoy" {
			t.Errorf("%s: %v %v", image, program, found)
		}
	}
	for _, image := range []string{"portolan", "other/portolan", "portolan/portolan/portolan"} {
		if _, found := images.Find(image); found {
			t.Errorf("%s is known", image)
		}
	}
	for _, text := range []string{"", "a", "=b", "a="} {
		if images.Add(text) == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestVariablesAreExpandedAsAKubeletDoes(t *testing.T) {
	known := map[string]string{"A": "1", "B": "$(A)"}
	for text, want := range map[string]string{
		"x": "x", "$(A)": "1", "$(A)$(B)": "1$(A)", "$$(A)": "$(A)", "$(C)": "$(C)", "$": "$", "$(A": "$(A", "$A": "$A", "$$$(A)": "$1",
	} {
		if got := expand(text, known); got != want {
			t.Errorf("%q gives %q, not %q", text, got, want)
		}
	}
}

func TestLogsAreCutAsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"on", "e\ntwo\n", "three\n"} {
		if _, err := log.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Count(string(raw), "\n") != 3 {
		t.Fatalf("%q, %v", raw, err)
	}
	for query, want := range map[string]string{
		"": "one\ntwo\nthree\n", "tailLines=2": "two\nthree\n", "tailLines=0": "", "limitBytes=5": "one\nt",
		"sinceTime=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339): "", "sinceSeconds=3600": "one\ntwo\nthree\n",
	} {
		parsed, err := parseLogQuery(func(name string) string {
			value, _ := strings.CutPrefix(query, name+"=")
			if value == query {
				return ""
			}
			return value
		})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		_ = copyLog(&out, path, parsed, func() bool { return true }) // a limit ends it with an error
		if out.String() != want {
			t.Errorf("%s gives %q", query, out.String())
		}
	}
}

package inside

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"portolan.dev/rig/internal/network"
)

func TestServerReportsTheVersionItWasBuiltFrom(t *testing.T) {
	version, err := kube.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	// The link in the tools folder leads to <name>-<version>/<name>.
	target, err := filepath.EvalSymlinks(filepath.Join(os.Getenv("RIG_TOOLS"), "kube-apiserver"))
	if err != nil {
		t.Fatal(err)
	}
	if wanted := strings.TrimPrefix(filepath.Base(filepath.Dir(target)), "kube-apiserver-"); version.GitVersion != wanted {
		t.Fatalf("the server says %s, the tool is %s", version.GitVersion, wanted)
	}
}

func TestNoRouteLeaves(t *testing.T) {
	table, err := network.Table()
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table)
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		if strings.HasPrefix(line, "unreachable ") {
			continue
		}
		if !strings.HasSuffix(line, "dev lo") && !strings.HasSuffix(line, "dev rig0") && !strings.Contains(line, "dev pod") {
			t.Errorf("a route that is not the rig's: %s", line)
		}
	}
}

func minted(t *testing.T, args ...string) *kubernetes.Clientset {
	t.Helper()
	data, err := exec.Command(os.Getenv("RIG"), append([]string{"mint"}, args...)...).Output()
	if err != nil {
		t.Fatalf("mint %v: %v", args, err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestRolesAreEnforcedForMintedUsers(t *testing.T) {
	list := func(client *kubernetes.Clientset) error {
		_, err := client.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(minted(t, "--user=nobody")); !apierrors.IsForbidden(err) {
		t.Errorf("a user without a role: %v", err)
	}
	if err := list(minted(t, "--user=root", "--group=system:masters")); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	ns := namespace(t)
	if err := list(minted(t, "--service-account="+ns+"/default")); !apierrors.IsForbidden(err) {
		t.Errorf("a service account without a role: %v", err)
	}
}

func TestCELRulesRefuse(t *testing.T) {
	ns := namespace(t)
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: refused}\nspec: "
	gateway := "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: refused}\nspec: {gatewayClassName: x, listeners: "
	cases := map[string]struct{ object, message string }{
		"a path without a slash": {route + `{rules: [{matches: [{path: {type: PathPrefix, value: foo}}]}]}`,
			"value must be an absolute path and start with '/'"},
		"two slashes in a path": {route + `{rules: [{matches: [{path: {type: PathPrefix, value: /a//b}}]}]}`,
			"must not contain '//'"},
		"a redirect with backends": {route + `{rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}], backendRefs: [{name: b, port: 80}]}]}`,
			"RequestRedirect filter must not be used together with backendRefs"},
		"TLS on an HTTP listener": {gateway + `[{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: c}]}}]}`,
			"tls must not be specified for protocols"},
		"two listeners alike": {gateway + `[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}`,
			"Combination of port, protocol and hostname must be unique"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var err error
			if strings.Contains(c.object, "HTTPRoute") {
				object := &gatewayv1.HTTPRoute{}
				err = decode(t, c.object, object)
				object.Namespace = ns
				err = firstError(err, func() error { return ctrl.Create(t.Context(), object) })
			} else {
				object := &gatewayv1.Gateway{}
				err = decode(t, c.object, object)
				object.Namespace = ns
				err = firstError(err, func() error { return ctrl.Create(t.Context(), object) })
			}
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.message) {
				t.Fatalf("wanted %q, got %v", c.message, err)
			}
			t.Log(err)
		})
	}
}

func decode(t *testing.T, text string, into any) error {
	t.Helper()
	return yaml.UnmarshalStrict([]byte(text), into)
}

func firstError(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func TestDefaultAdmissionRefuses(t *testing.T) {
	ns := namespace(t)
	// Pod security admission is one of the default plugins.
	patch := []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)
	if _, err := kube.CoreV1().Namespaces().Patch(t.Context(), ns, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// The plugin reads labels from a cache of its own, which follows; nothing is stored meanwhile.
	try := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	eventually(t, patience, "the label to be seen", func() (bool, error) {
		_, err := kube.CoreV1().Pods(ns).Create(t.Context(), echo("insecure"), try)
		return err != nil, nil
	})
	_, err := kube.CoreV1().Pods(ns).Create(t.Context(), echo("insecure"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Fatalf("wanted a refusal by pod security, got %v", err)
	}
	if pods, err := kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(pods.Items) != 0 {
		t.Fatalf("%v, %v", pods, err)
	}
}

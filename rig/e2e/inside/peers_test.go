package inside

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"portolan.dev/rig/internal/pki"
)

// peer finds a program of the rig's tools or of the machine; where it is missing, the test says so and is skipped. With
// CI=true, a peer that every set-up brings must not be missing.
func peer(t *testing.T, name string, required bool) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if required && os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing, and CI=true: scripts/setup rig and rig/setup peers bring it", name)
		}
		t.Skipf("SKIPPED: %s is not on this machine", name)
	}
	return path
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	raw, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, raw)
	}
	return string(raw)
}

func TestKubectlHasTheServersVersion(t *testing.T) {
	var versions struct{ ClientVersion, ServerVersion struct{ GitVersion string } }
	if err := json.Unmarshal([]byte(output(t, peer(t, "kubectl", true), "version", "--output=json")), &versions); err != nil {
		t.Fatal(err)
	}
	if versions.ClientVersion.GitVersion == "" || versions.ClientVersion != versions.ServerVersion {
		t.Fatalf("%+v", versions)
	}
}

func TestHelmInstallsAChart(t *testing.T) {
	helm := peer(t, "helm", true)
	ns := namespace(t)
	chart := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml":            "apiVersion: v2\nname: smoke\nversion: 0.1.0\n",
		"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {kube: '{{ .Capabilities.KubeVersion }}'}\n",
	} {
		path := filepath.Join(chart, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, helm, "install", "smoke", chart, "--namespace", ns)
	made, err := kube.CoreV1().ConfigMaps(ns).Get(t.Context(), "smoke", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if version, _ := kube.ServerVersion(); made.Data["kube"] != version.GitVersion {
		t.Errorf("Helm saw Kubernetes %q", made.Data["kube"])
	}
	output(t, helm, "uninstall", "smoke", "--namespace", ns)
}

func TestCmctlSaysThatCertManagerIsNotThere(t *testing.T) {
	cmctl := peer(t, "cmctl", true)
	if version := output(t, cmctl, "version", "--client"); !strings.Contains(version, `GitVersion:"v2.`) {
		t.Errorf("its version: %s", version)
	}
	raw, err := exec.Command(cmctl, "check", "api", "--wait=0s").CombinedOutput()
	if err == nil || !strings.Contains(string(raw), "no matches for cert-manager.io/v1") {
		t.Errorf("%v: %s", err, raw)
	}
}

func TestKubesealSeals(t *testing.T) {
	kubeseal := peer(t, "kubeseal", true)
	dir := t.TempDir()
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: n}\nstringData: {a: b}\n"
	cmd := exec.Command(kubeseal, "--cert", rsaCertificate(t, dir), "--format=yaml")
	cmd.Stdin = strings.NewReader(secret)
	raw, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(raw), "kind: SealedSecret") || strings.Contains(string(raw), "stringData") {
		t.Fatalf("%v: %s", err, raw)
	}
}

// daemon is a program that runs beside a test.
type daemon struct {
	gone chan struct{}
	err  error
	log  bytes.Buffer
}

// ended is an error once the program runs no more.
func (d *daemon) ended() error {
	select {
	case <-d.gone:
		return fmt.Errorf("it ended (%v): %s", d.err, d.log.String())
	default:
		return nil
	}
}

// server starts a program that ends with the test at the latest.
func server(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{gone: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = cmd.Wait()
		close(d.gone)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-d.gone
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	return d
}

func TestPebbleAndItsChallengeServer(t *testing.T) {
	pebble, challenges := peer(t, "pebble", true), peer(t, "pebble-challtestsrv", true)
	dir := t.TempDir()
	ca, err := pki.New(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("pebble", pki.Leaf{User: "pebble", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf(`{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
		"certificate": %q, "privateKey": %q, "httpPort": 5002, "tlsPort": 5001, "profiles": {"default": {"description": "a", "validityPeriod": 3600}}}}`, pair.Cert, pair.Key)
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	server(t, exec.Command(challenges, "-defaultIPv4", "10.80.0.9", "-defaultIPv6", "", "-dnsserver", "127.0.0.1:8053", "-management", "127.0.0.1:8055", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""))
	acme := server(t, exec.Command(pebble, "-config", file, "-dnsserver", "127.0.0.1:8053", "-strict"))
	raw, err := os.ReadFile(ca.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	var directory map[string]any
	eventually(t, patience, "Pebble's directory", func() (bool, error) {
		response, err := client.Get("https://127.0.0.1:14000/dir") //nolint:noctx
		if err != nil {
			return false, acme.ended()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return false, err
		}
		return true, json.Unmarshal(body, &directory)
	})
	if directory["renewalInfo"] == nil {
		t.Errorf("no ARI in %v", directory)
	}
	response, err := http.Post("http://127.0.0.1:8055/set-txt", "application/json", strings.NewReader(`{"host":"_acme-challenge.a.example.","value":"proof"}`)) //nolint:noctx
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	resolver := net.Resolver{PreferGo: true, Dial: dialerTo("127.0.0.1:8053")}
	if texts, err := resolver.LookupTXT(t.Context(), "_acme-challenge.a.example."); err != nil || len(texts) != 1 || texts[0] != "proof" {
		t.Errorf("%v, %v", texts, err)
	}
}

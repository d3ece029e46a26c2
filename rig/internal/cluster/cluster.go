// Package cluster starts etcd, kube-apiserver and kube-controller-manager: the real programs, told only what a cluster on
// one machine needs to be told. They end with the process namespace they run in, whatever happens to the harness.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"portolan.dev/rig/internal/network"
	"portolan.dev/rig/internal/pki"
)

// Server is the API server's address, as everything beside it dials it. Pods use network.NodeIP and the same port.
const Server = "https://127.0.0.1:6443"

// KubeletUser is the identity with which the API server comes to the stand-in's log port.
const KubeletUser = "rig:apiserver-kubelet-client"

// patience is how long a component may take until it is healthy. Seen are 1 to 4 s; a stalled machine took minutes.
const patience = 5 * time.Minute

// Cluster is the running control plane.
type Cluster struct {
	// CA signs every certificate of the cluster.
	CA *pki.Authority
	// Dir holds certificates, data and logs of this run.
	Dir   string
	tools string
	died  chan error
}

// Start brings the control plane up in dir with the programs of tools. Every component that dies later is reported by Died.
func Start(ctx context.Context, dir, tools string) (*Cluster, error) {
	c := &Cluster{Dir: dir, tools: tools, died: make(chan error, 3)}
	for _, sub := range []string{"pki", "logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	if err := c.etcd(ctx); err != nil {
		return nil, err
	}
	if err := c.apiserver(ctx); err != nil {
		return nil, err
	}
	return c, c.controllerManager(ctx)
}

// Died gives the first component that ended, with the end of its log.
func (c *Cluster) Died() <-chan error { return c.died }

// Kubeconfig writes a kubeconfig for a user into the run's folder and returns its path.
func (c *Cluster) Kubeconfig(file, user string, groups ...string) (string, error) {
	data, err := c.CA.Kubeconfig(Server, user, groups)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, file)
	return path, os.WriteFile(path, data, 0o600)
}

func (c *Cluster) etcd(ctx context.Context) error {
	return c.run(ctx, "http://127.0.0.1:2379/health", "etcd",
		"--name=rig", "--data-dir="+filepath.Join(c.Dir, "etcd"),
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=rig=http://127.0.0.1:2380",
		"--unsafe-no-fsync", // the data does not outlive the run
		"--log-level=warn")
}

func (c *Cluster) apiserver(ctx context.Context) error {
	dir := filepath.Join(c.Dir, "pki")
	var err error
	if c.CA, err = pki.New(dir, "ca"); err != nil {
		return err
	}
	front, err := pki.New(dir, "front-proxy-ca")
	if err != nil {
		return err
	}
	accounts, err := pki.ServiceAccountKey(dir)
	if err != nil {
		return err
	}
	serving, err := c.CA.Issue("apiserver", pki.Leaf{
		User:      "kube-apiserver",
		Addresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(network.NodeIP), net.IPv4(10, 96, 0, 1)},
		Names:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
	})
	if err != nil {
		return err
	}
	kubelet, err := c.CA.Issue("apiserver-kubelet-client", pki.Leaf{User: KubeletUser})
	if err != nil {
		return err
	}
	aggregator, err := front.Issue("front-proxy-client", pki.Leaf{User: "front-proxy-client"})
	if err != nil {
		return err
	}
	policy := filepath.Join(c.Dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	return c.run(ctx, Server+"/readyz", "kube-apiserver",
		"--audit-policy-file="+policy, "--audit-log-path="+filepath.Join(c.Dir, AuditLog),
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address="+network.NodeIP,
		"--tls-cert-file="+serving.Cert, "--tls-private-key-file="+serving.Key,
		"--client-ca-file="+c.CA.CertFile(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", // added to the default set, as kubeadm does
		"--service-account-key-file="+accounts.Cert, "--service-account-signing-key-file="+accounts.Key,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-cluster-ip-range="+network.ServiceCIDR,
		"--kubelet-client-certificate="+kubelet.Cert, "--kubelet-client-key="+kubelet.Key,
		"--kubelet-certificate-authority="+c.CA.CertFile(), "--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file="+aggregator.Cert, "--proxy-client-key-file="+aggregator.Key,
		"--requestheader-client-ca-file="+front.CertFile(), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--allow-privileged=true", "--profiling=false")
}

// AuditLog stands in the folder of the rig: a line of JSON for each request of a service account that is not Kubernetes' own.
const AuditLog = "audit.log"

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
  - {level: Metadata, userGroups: ["system:serviceaccounts"]}
  - {level: None}
`

func (c *Cluster) controllerManager(ctx context.Context) error {
	config, err := c.Kubeconfig("controller-manager.kubeconfig", "system:kube-controller-manager")
	if err != nil {
		return err
	}
	return c.run(ctx, "https://127.0.0.1:10257/healthz", "kube-controller-manager",
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false",
		"--use-service-account-credentials=true", // with one shared identity RBAC refuses half the controllers
		"--service-account-private-key-file="+filepath.Join(c.Dir, "pki", "service-account.key"),
		"--root-ca-file="+c.CA.CertFile(),
		"--cluster-signing-cert-file="+c.CA.CertFile(), "--cluster-signing-key-file="+c.CA.KeyFile(),
		// The only node is lost when the rig is. By default it were after 50 s, which a stalled machine reaches.
		"--node-monitor-grace-period=1h",
		"--controllers=*")
}

// run starts a component and waits until its health address says yes.
func (c *Cluster) run(ctx context.Context, health, name string, args ...string) error {
	log := c.LogFile(name)
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(filepath.Join(c.tools, name), args...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w (make the programs with rig/setup)", name, err)
	}
	ended := make(chan struct{})
	go func() {
		err := cmd.Wait()
		c.died <- fmt.Errorf("%s ended (%v); the end of %s:\n%s", name, err, log, Tail(log))
		close(ended)
	}()
	if err := healthy(ctx, health, ended); err != nil {
		return fmt.Errorf("%s: %w; the end of %s:\n%s", name, err, log, Tail(log))
	}
	return nil
}

// LogFile is where a component's output goes.
func (c *Cluster) LogFile(name string) string { return filepath.Join(c.Dir, "logs", name+".log") }

func healthy(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Whoever answers here was started by the rig, in a namespace that holds nobody else.
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec
	defer client.CloseIdleConnections()
	last := errors.New("no answer yet")
	for {
		last = ask(ctx, client, address, last)
		if last == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended before it was healthy")
		case <-ctx.Done():
			return fmt.Errorf("not healthy after %s: %w", patience, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, client *http.Client, address string, last error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return last // says more than "deadline exceeded"
		}
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(body))
	}
	return nil
}

// Tail is the end of a log, for messages.
func Tail(path string) string {
	const most = 3000
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(raw) > most {
		raw = raw[len(raw)-most:]
		if cut := bytes.IndexByte(raw, '\n'); cut >= 0 {
			raw = raw[cut+1:]
		}
	}
	return string(raw)
}

package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"portolan.dev/rig/internal/pki"
)

// LogPort is the node's port, where the API server comes for logs.
const LogPort = 10250

// Serve answers the API server's requests for logs. Only the named user is let in, by a certificate of the authority.
func (k *Kubelet) Serve(ctx context.Context, pair pki.Pair, authority, user string) error {
	serving, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return fmt.Errorf("%s holds no certificate", authority)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.containerLogs)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		what, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		http.Error(w, "the rig's stand-in for the kubelet serves container logs only, not "+what, http.StatusNotImplemented)
	})
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != user {
			http.Error(w, "only the API server may ask here, not "+strconv.Quote(name), http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(k.NodeIP, strconv.Itoa(LogPort)))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: guarded, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{serving}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12},
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

func (k *Kubelet) containerLogs(w http.ResponseWriter, r *http.Request) {
	query, err := parseLogQuery(r.URL.Query().Get)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Query().Get("previous") == "true" {
		http.Error(w, "the rig keeps one log through all restarts of a container; ask without previous", http.StatusBadRequest)
		return
	}
	found := k.find(r.PathValue("namespace"), r.PathValue("pod"))
	if found == nil {
		http.Error(w, "the rig runs no such pod", http.StatusNotFound)
		return
	}
	for _, c := range found.all() {
		if c.spec.Name != r.PathValue("container") {
			continue
		}
		gone := func() bool {
			select {
			case <-found.gone:
				return true
			case <-r.Context().Done():
				return true
			default:
				return false
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := copyLog(w, c.logPath(), query, gone); errors.Is(err, os.ErrNotExist) {
			http.Error(w, "the container has not started yet", http.StatusBadRequest)
		}
		return
	}
	http.Error(w, "the pod has no such container", http.StatusNotFound)
}

func (k *Kubelet) find(namespace, name string) *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.workers {
		if pod := w.latest.Load(); pod.Namespace == namespace && pod.Name == name {
			return w
		}
	}
	return nil
}

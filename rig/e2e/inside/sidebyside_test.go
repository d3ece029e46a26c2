package inside

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The programs of this file are for comparisons and take long to build; rig/setup gateways brings them.

func TestEnvoyGatewayIsThere(t *testing.T) {
	if version := output(t, peer(t, "envoy-gateway", false), "version"); !strings.Contains(version, "GATEWAYAPI_VERSION") {
		t.Errorf("its version: %s", version)
	}
}

// external-dns reads a Service from the rig's API server and writes its name to the real BIND.
func TestExternalDNSWritesRecords(t *testing.T) {
	program := peer(t, "external-dns", false)
	ns := namespace(t)
	const address = "127.0.0.1:5311"
	named := bind(t, address)
	eventually(t, patience, "the zone", func() (bool, error) { return lookUp(address, "host."+zoneName) == "10.80.9.2", named.ended() })
	service, err := kube.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "published", Annotations: map[string]string{"external-dns.alpha.kubernetes.io/hostname": "published.rig.example"}},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.80.9.5"}}
	if _, err := kube.CoreV1().Services(ns).UpdateStatus(t.Context(), service, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.CommandContext(t.Context(), program, "--once", "--source=service", "--namespace="+ns, "--kubeconfig="+os.Getenv("KUBECONFIG"),
		"--provider=rfc2136", "--rfc2136-host=127.0.0.1", "--rfc2136-port=5311", "--rfc2136-zone=rig.example", "--rfc2136-tsig-axfr",
		"--rfc2136-tsig-keyname=rig", "--rfc2136-tsig-secret="+keySecret, "--rfc2136-tsig-secret-alg=hmac-sha256",
		"--domain-filter=rig.example", "--txt-owner-id=rig").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if answer := lookUp(address, "published."+zoneName); answer != "10.80.9.5" {
		t.Errorf("%s\n%s", answer, raw)
	}
}

package inside

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	suite "sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
)

func fetch(t *testing.T, address string) string {
	t.Helper()
	var body []byte
	eventually(t, patience, address, func() (bool, error) {
		response, err := http.Get(address) //nolint:gosec,noctx // an address of the rig
		if err != nil {
			return false, nil // ready without a probe means started, not listening
		}
		defer response.Body.Close()
		body, err = io.ReadAll(response.Body)
		return response.StatusCode == http.StatusOK, err
	})
	return string(body)
}

func TestMirrorLogIsRead(t *testing.T) {
	ns := namespace(t)
	ip := start(t, ns, echo("mirror"))
	since := time.Now().Add(-time.Second)
	fetch(t, "http://"+ip+":3000/mirrored")
	// Read by the suite's own function, as its mirror tests do.
	eventually(t, patience, "the line of the request", func() (bool, error) {
		lines, err := suite.DumpEchoLogs(t.Context(), ns, "mirror", ctrl, kube, since)
		return strings.Contains(strings.Join(lines, "\n"), "Echoing back request made to /mirrored to client"), err
	})
	later := time.Now().Add(time.Hour)
	lines, err := suite.DumpEchoLogs(t.Context(), ns, "mirror", ctrl, kube, later)
	if err != nil || strings.TrimSpace(strings.Join(lines, "")) != "" {
		t.Fatalf("lines from the future: %q, %v", lines, err)
	}
}

func TestUDPReachesAPod(t *testing.T) {
	ns := namespace(t)
	ip := start(t, ns, echo("udp", corev1.EnvVar{Name: "UDP_ECHO_SERVER", Value: "1"}, corev1.EnvVar{Name: "UDP_PORT", Value: "8080"}))
	connection, err := net.Dial("udp", ip+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	var answer struct{ Request, Pod, Namespace string }
	eventually(t, patience, "an answer", func() (bool, error) {
		if _, err := connection.Write([]byte("a datagram")); err != nil {
			return false, nil // refused: not listening yet
		}
		_ = connection.SetReadDeadline(time.Now().Add(time.Second))
		buffer := make([]byte, 2048)
		n, err := connection.Read(buffer)
		if err != nil {
			return false, nil
		}
		return true, json.Unmarshal(buffer[:n], &answer)
	})
	if answer.Request != "a datagram" || answer.Pod != "udp" || answer.Namespace != ns {
		t.Fatalf("%+v", answer)
	}
}

func TestPodWaitsForItsSecretAndServesItsCertificate(t *testing.T) {
	ns := namespace(t)
	pod := echo("tls", corev1.EnvVar{Name: "TLS_SERVER_CERT", Value: "/etc/tls/crt"}, corev1.EnvVar{Name: "TLS_SERVER_PRIVKEY", Value: "/etc/tls/key"})
	pod.Spec.Volumes = []corev1.Volume{{Name: "tls", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: "late", Items: []corev1.KeyToPath{{Key: "tls.crt", Path: "crt"}, {Key: "tls.key", Path: "key"}},
	}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "tls", MountPath: "/etc/tls", ReadOnly: true}}
	create(t, ns, pod)
	eventSays(t, ns, "tls", `secret "late" not found`)
	if status := get(t, ns, "tls").Status; status.Phase != corev1.PodPending || status.ContainerStatuses[0].State.Waiting.Reason != "ContainerCreating" {
		t.Fatalf("without its Secret: %+v", status)
	}
	secret := suite.MustCreateSelfSignedCertSecret(t, ns, "late", []string{"late.example"})
	if _, err := kube.CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "ready", func() (bool, error) { return ready(get(t, ns, "tls")), nil })
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["tls.crt"]) {
		t.Fatal("the Secret holds no certificate")
	}
	// Verified against the Secret's own certificate: no other would do.
	eventually(t, patience, "a handshake", func() (bool, error) {
		connection, err := tls.Dial("tcp", get(t, ns, "tls").Status.PodIP+":8443", &tls.Config{RootCAs: roots, ServerName: "late.example", MinVersion: tls.VersionTLS12})
		if err != nil {
			if strings.Contains(err.Error(), "refused") {
				return false, nil
			}
			return false, err
		}
		return true, connection.Close()
	})
}

func TestForeignImageStaysPendingAndSaysSo(t *testing.T) {
	ns := namespace(t)
	pod := echo("foreign")
	pod.Spec.Containers[0].Image = "example.com/somebody/nginx:1"
	create(t, ns, pod)
	eventSays(t, ns, "foreign", "no program of the rig stands in for the image example.com/somebody/nginx:1")
	if status := get(t, ns, "foreign").Status; status.Phase != corev1.PodPending || status.ContainerStatuses[0].State.Waiting.Reason != "ErrImageNeverPull" {
		t.Fatalf("%+v", status)
	}
	remove(t, ns, "foreign")
}

func remove(t *testing.T, ns, name string) {
	t.Helper()
	if err := kube.CoreV1().Pods(ns).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, name+" gone", func() (bool, error) {
		_, err := kube.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	})
}

func TestContainerIsRestarted(t *testing.T) {
	ns := namespace(t)
	pod := echo("crash")
	pod.Spec.Containers[0].Command = []string{"/bin/sh", "-c", "echo one start; exit 7"}
	create(t, ns, pod)
	eventually(t, patience, "two restarts", func() (bool, error) {
		statuses := get(t, ns, "crash").Status.ContainerStatuses
		return len(statuses) > 0 && statuses[0].RestartCount >= 2 && statuses[0].LastTerminationState.Terminated.ExitCode == 7, nil
	})
	// Without a probe it is ready for the moment that it runs, as on any node; while it waits for its next start it is not.
	eventually(t, patience, "not ready in its backoff", func() (bool, error) {
		pod := get(t, ns, "crash")
		waiting := pod.Status.ContainerStatuses[0].State.Waiting
		if waiting == nil || waiting.Reason != "CrashLoopBackOff" {
			return false, nil
		}
		if ready(pod) {
			t.Error("ready while it waits for its next start")
		}
		return true, nil
	})
	log, err := kube.CoreV1().Pods(ns).GetLogs("crash", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil || strings.Count(string(log), "one start\n") < 2 {
		t.Errorf("%q, %v", log, err)
	}
	remove(t, ns, "crash")
}

func TestReadinessFollowsTheProbe(t *testing.T) {
	ns := namespace(t)
	pod := echo("probed")
	pod.Spec.InitContainers = []corev1.Container{{
		Name: "first", Image: echoImage, Command: []string{"/bin/sh", "-c", "echo made by $(WHO) > /work/file"},
		Env:          []corev1.EnvVar{{Name: "WHO", Value: "init"}},
		VolumeMounts: []corev1.VolumeMount{{Name: "work", MountPath: "/work"}},
	}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "work", MountPath: "/work"}}
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		PeriodSeconds: 1, FailureThreshold: 1,
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/status/503", Port: intstr.FromInt32(3000)}},
	}
	create(t, ns, pod)
	eventually(t, patience, "running", func() (bool, error) { return get(t, ns, "probed").Status.Phase == corev1.PodRunning, nil })
	fetch(t, "http://"+get(t, ns, "probed").Status.PodIP+":3000/")
	if ready(get(t, ns, "probed")) {
		t.Error("ready although the probe gets 503")
	}
	if state := get(t, ns, "probed").Status.InitContainerStatuses[0].State.Terminated; state == nil || state.ExitCode != 0 {
		t.Errorf("the init container: %+v", state)
	}
	good := echo("good")
	good.Spec.Containers[0].ReadinessProbe = pod.Spec.Containers[0].ReadinessProbe.DeepCopy()
	good.Spec.Containers[0].ReadinessProbe.HTTPGet.Path = "/health"
	start(t, ns, good)
}

func TestPodUsesItsServiceAccount(t *testing.T) {
	ns := namespace(t)
	for _, create := range []func() error{
		func() error {
			_, err := kube.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
				ObjectMeta: metav1.ObjectMeta{Name: "reader"},
				Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}},
			}, metav1.CreateOptions{})
			return err
		},
		func() error {
			_, err := kube.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
				Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: ns}},
			}, metav1.CreateOptions{})
			return err
		},
	} {
		if err := create(); err != nil {
			t.Fatal(err)
		}
	}
	// The authorizer learns of roles from a watch, a moment later.
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + ns + ":default",
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Verb: "list", Resource: "configmaps"},
	}}
	eventually(t, patience, "the role", func() (bool, error) {
		answer, err := kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	// So does the publisher of the root certificate, which the Pod lists.
	eventually(t, patience, "the root certificate", func() (bool, error) {
		_, err := kube.CoreV1().ConfigMaps(ns).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "client"}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{
			Name: "client", Image: "example.com/rig-test/kubectl:1",
			Command: []string{"/bin/sh", "-c", "kubectl get configmaps -o name && ! kubectl get secrets && ps ax | wc -l && id -un && hostname"},
		}},
	}}
	create(t, ns, pod)
	eventually(t, patience, "the end", func() (bool, error) {
		phase := get(t, ns, "client").Status.Phase
		return phase == corev1.PodSucceeded || phase == corev1.PodFailed, nil
	})
	log, err := kube.CoreV1().Pods(ns).GetLogs("client", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"configmap/kube-root-ca.crt", "secrets is forbidden", "client\n"} {
		if !strings.Contains(string(log), wanted) {
			t.Errorf("no %q in:\n%s", wanted, log)
		}
	}
	if phase := get(t, ns, "client").Status.Phase; phase != corev1.PodSucceeded {
		t.Errorf("%s:\n%s", phase, log)
	}
}

func TestDNSAnswererAnswers(t *testing.T) {
	ns := namespace(t)
	pod := echo("dns")
	pod.Spec.Containers[0].Image = "example.com/coredns/coredns:v1"
	pod.Spec.Containers[0].Args = []string{"-conf", "/root/Corefile"}
	ip := start(t, ns, pod)
	resolver := net.Resolver{PreferGo: true, Dial: dialerTo(ip + ":53")}
	eventually(t, patience, "an answer", func() (bool, error) {
		addresses, err := resolver.LookupHost(t.Context(), "foo.bar.example.")
		return err == nil && len(addresses) == 1, nil
	})
}

func TestLogPortLetsOnlyTheAPIServerIn(t *testing.T) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec
	client := http.Client{Transport: transport}
	address := fmt.Sprintf("https://%s:10250/containerLogs/a/b/c", os.Getenv("RIG_NODE_IP"))
	if response, err := client.Get(address); err == nil { //nolint:noctx
		t.Errorf("without a certificate: %s", response.Status)
	}
	certificate, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	response, err := client.Get(address) //nolint:noctx
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("with another certificate of the authority: %v, %v", response, err)
	}
}

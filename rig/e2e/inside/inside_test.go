// Package inside proves the rig from within: its tests run in one running rig, and refuse to run anywhere else.
package inside

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"portolan.dev/rig/internal/network"
)

const echoImage = "example.com/gateway-api/echo-basic:any"

// patience is how long a test waits for what has to come. It bounds a broken run; it is no promise, and a machine that
// is busy with other work must not fail it.
const patience = 5 * time.Minute

var (
	config *rest.Config
	kube   *kubernetes.Clientset
	ctrl   client.Client
)

func TestMain(m *testing.M) {
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, "these tests run inside a rig only (make rig-test):", err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func connect() error {
	// Before anything is dialled: pod addresses must not be able to leave this namespace.
	if err := network.CheckIsolated(); err != nil {
		return err
	}
	var err error
	if config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")); err != nil {
		return err
	}
	config.QPS = -1
	if kube, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if err := gatewayv1.Install(clientgoscheme.Scheme); err != nil {
		return err
	}
	ctrl, err = client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	return err
}

// namespace makes a namespace of the test's own, and takes it away at the end.
func namespace(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(t.Name())
	_, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kube.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	// As on any cluster, Pods are admitted only once the namespace's service account is there.
	eventually(t, patience, "the default service account", func() (bool, error) {
		_, err := kube.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	})
	return name
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// eventually waits for something that has to come; how long it took is returned, for the record.
func eventually(t *testing.T, limit time.Duration, what string, check func() (bool, error)) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		done, err := check()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if done {
			return time.Since(begun)
		}
		if time.Since(begun) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// echo is a Pod of the suite's echo server.
func echo(name string, env ...corev1.EnvVar) *corev1.Pod {
	env = append(env,
		corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		corev1.EnvVar{Name: "NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}})
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: echoImage, Env: env}}},
	}
}

func create(t *testing.T, namespace string, pod *corev1.Pod) {
	t.Helper()
	if _, err := kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	pod, err := kube.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// start creates a Pod and waits until it is ready; its address is returned.
func start(t *testing.T, namespace string, pod *corev1.Pod) string {
	t.Helper()
	create(t, namespace, pod)
	eventually(t, patience, pod.Name+" ready", func() (bool, error) { return ready(get(t, namespace, pod.Name)), nil })
	return get(t, namespace, pod.Name).Status.PodIP
}

// eventSays waits for an event about an object, with a text in it.
func eventSays(t *testing.T, namespace, name, text string) {
	t.Helper()
	eventually(t, patience, "an event that says "+text, func() (bool, error) {
		events, err := kube.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, event := range events.Items {
			if event.InvolvedObject.Name == name && strings.Contains(event.Message, text) {
				return true, nil
			}
		}
		return false, nil
	})
}

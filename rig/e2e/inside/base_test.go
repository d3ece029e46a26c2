package inside

import (
	"io"
	"sort"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/gateway-api/conformance"
	suite "sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
)

// baseGoal is what the rig promises on two idle cores, from the apply on. It is reported, not asserted: a wait fails only
// after patience.
const baseGoal = 30 * time.Second

var baseNamespaces = []string{"gateway-conformance-infra", "gateway-conformance-app-backend", "gateway-conformance-web-backend"}

// applyBase creates the suite's base manifests, then the Secrets that they mount: in this order, as the suite does.
func applyBase(t *testing.T) {
	t.Helper()
	raw, err := conformance.Manifests.ReadFile("base/manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "{GATEWAY_CLASS_NAME}", "nobody")
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := ctrl.Create(t.Context(), object); err != nil {
			t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	for _, of := range [][2]string{
		{"gateway-conformance-infra", "tls-checks-certificate"}, {"gateway-conformance-infra", "tls-passthrough-checks-certificate"},
		{"gateway-conformance-app-backend", "tls-passthrough-checks-certificate"},
	} {
		secret := suite.MustCreateSelfSignedCertSecret(t, of[0], of[1], []string{"abc.example.com"})
		if err := ctrl.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
}

func basePods(t *testing.T) []corev1.Pod {
	t.Helper()
	var out []corev1.Pod
	for _, ns := range baseNamespaces {
		pods, err := kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pods.Items...)
	}
	return out
}

// unready names what is missing: Pods that are not ready, and Services with a selector whose slices lack a ready Pod.
func unready(t *testing.T) []string {
	t.Helper()
	var out []string
	pods := basePods(t)
	for _, pod := range pods {
		if !ready(&pod) || pod.DeletionTimestamp != nil {
			out = append(out, "pod "+pod.Name)
		}
	}
	for _, ns := range baseNamespaces {
		services, err := kube.CoreV1().Services(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range services.Items {
			want := map[string]bool{}
			for _, pod := range pods {
				if pod.Namespace == ns && len(service.Spec.Selector) > 0 && matches(service.Spec.Selector, pod.Labels) {
					want[pod.Status.PodIP] = true
				}
			}
			slices := &discoveryv1.EndpointSliceList{}
			if err := ctrl.List(t.Context(), slices, client.InNamespace(ns), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
				t.Fatal(err)
			}
			for _, slice := range slices.Items {
				for _, endpoint := range slice.Endpoints {
					if *endpoint.Conditions.Ready {
						delete(want, endpoint.Addresses[0])
					}
				}
			}
			if len(want) > 0 {
				out = append(out, "service "+service.Name)
			}
		}
	}
	sort.Strings(out)
	return out
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

func TestBaseManifestsOfTheSuite(t *testing.T) {
	begun := time.Now()
	applyBase(t)
	var missing []string
	for {
		if missing = unready(t); len(basePods(t)) == 23 && len(missing) == 0 {
			break
		}
		if time.Since(begun) > patience {
			t.Fatalf("after %s: %d pods, not ready: %v", patience, len(basePods(t)), missing)
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(begun)
	deployments, err := kube.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(deployments.Items) != 14 {
		t.Fatalf("%d deployments, %v", len(deployments.Items), err)
	}
	t.Logf("14 deployments, 23 pods ready and in their slices %.1f s after the first apply", took.Seconds())
	if took > baseGoal {
		t.Logf("MISSED: the goal is %s", baseGoal)
	}

	t.Run("a deleted pod is replaced", func(t *testing.T) {
		before := map[string]bool{}
		for _, pod := range basePods(t) {
			before[pod.Name] = true
		}
		for _, victim := range basePods(t)[:2] {
			remove(t, victim.Namespace, victim.Name)
		}
		eventually(t, patience, "two new pods, all ready", func() (bool, error) {
			pods, fresh := basePods(t), 0
			for _, pod := range pods {
				if !before[pod.Name] {
					fresh++
				}
			}
			return len(pods) == 23 && fresh == 2 && len(unready(t)) == 0, nil
		})
	})
	t.Run("namespaces go away", func(t *testing.T) {
		for _, ns := range baseNamespaces {
			if err := kube.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		took := eventually(t, patience, "all three gone", func() (bool, error) {
			for _, ns := range baseNamespaces {
				if _, err := kube.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					return false, ignoreNotFound(err)
				}
			}
			return true, nil
		})
		t.Logf("gone after %.1f s", took.Seconds())
	})
}

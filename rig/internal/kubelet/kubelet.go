// Package kubelet stands in for scheduler and kubelet: one Node, on which Pods run as local processes in a network and a
// file system of their own. It pulls no image: a program of this machine stands in for each image it knows, and a Pod
// with any other image stays Pending and says so.
package kubelet

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	listersv1 "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"portolan.dev/rig/internal/network"
)

// NodeName is the only node.
const NodeName = "rig"

// Kubelet runs the Pods of the one node.
type Kubelet struct {
	Client kubernetes.Interface
	Net    *network.Net
	// NodeIP is the node's address.
	NodeIP string
	// Version is what the node says it runs.
	Version string
	// Dir holds volumes and logs, one folder a pod.
	Dir    string
	Images Images

	secrets    listersv1.SecretLister
	configMaps listersv1.ConfigMapLister
	events     record.EventRecorder

	mu      sync.Mutex
	workers map[types.UID]*worker
}

// Start registers the node and begins to run Pods; it returns when all caches are filled.
func (k *Kubelet) Start(ctx context.Context) error {
	k.workers = map[types.UID]*worker{}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: k.Client.CoreV1().Events("")})
	k.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "rig", Host: NodeName})
	if err := k.register(ctx); err != nil {
		return err
	}
	go k.heartbeat(ctx)

	factory := informers.NewSharedInformerFactory(k.Client, 0)
	k.secrets = factory.Core().V1().Secrets().Lister()
	k.configMaps = factory.Core().V1().ConfigMaps().Lister()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("the cache of %s was not filled", kind)
		}
	}
	// Pods come only when Secrets and ConfigMaps are known, so that a present one is not taken for missing.
	pods := informers.NewSharedInformerFactory(k.Client, 0)
	informer := pods.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { k.see(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { k.see(ctx, object.(*corev1.Pod)) },
		DeleteFunc: k.forget,
	})
	if err != nil {
		return err
	}
	pods.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	return nil
}

func (k *Kubelet) see(ctx context.Context, pod *corev1.Pod) {
	switch {
	case pod.Spec.NodeName == "":
		go k.bind(ctx, pod)
	case pod.Spec.NodeName == NodeName:
		k.mu.Lock()
		defer k.mu.Unlock()
		if known, found := k.workers[pod.UID]; found {
			known.update(pod)
			return
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			if pod.DeletionTimestamp != nil {
				go k.remove(ctx, pod)
			}
			return
		}
		w := newWorker(k, pod)
		k.workers[pod.UID] = w
		go w.run(ctx)
	}
}

func (k *Kubelet) forget(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w, found := k.workers[pod.UID]; found {
		close(w.gone)
		delete(k.workers, pod.UID)
	}
}

// bind does a scheduler's work, as far as one node leaves any: it looks at gates and the node selector only.
func (k *Kubelet) bind(ctx context.Context, pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 || pod.Spec.SchedulerName != corev1.DefaultSchedulerName {
		return
	}
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(nodeLabels())) {
		k.events.Eventf(pod, corev1.EventTypeWarning, "FailedScheduling", "0/1 nodes are available: the rig's only node does not match the node selector")
		return
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: NodeName},
	}
	insist(ctx, pod, "binding", func() error {
		return k.Client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
	})
}

// insist tries until it succeeds, or the Pod is not what it was: a busy API server refuses now and then, and no event
// would come to try again.
func insist(ctx context.Context, pod *corev1.Pod, what string, try func() error) {
	for {
		err := try()
		if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) || ctx.Err() != nil {
			return
		}
		log.Printf("%s %s/%s: %v", what, pod.Namespace, pod.Name, err)
		if !sleep(ctx, 500*time.Millisecond) {
			return
		}
	}
}

// remove takes the Pod's object away for good.
func (k *Kubelet) remove(ctx context.Context, pod *corev1.Pod) {
	now := int64(0)
	insist(ctx, pod, "removing", func() error {
		return k.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
	})
}

func nodeLabels() map[string]string {
	return map[string]string{
		corev1.LabelHostname: NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		"node-role.kubernetes.io/control-plane": "",
	}
}

func (k *Kubelet) register(ctx context.Context) error {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("1000"),
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: NodeName, Labels: nodeLabels()}}
	if _, err := k.Client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the node: %w", err)
	}
	node, err := k.Client.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	node.Status = corev1.NodeStatus{
		Capacity: room, Allocatable: room,
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: k.NodeIP}, {Type: corev1.NodeHostName, Address: NodeName}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: LogPort}},
		NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: k.Version + "-rig", OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "rig://1"},
		Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "RigReady", Message: "the stand-in runs", LastHeartbeatTime: now, LastTransitionTime: now},
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "NotMeasured", LastHeartbeatTime: now, LastTransitionTime: now},
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "NotMeasured", LastHeartbeatTime: now, LastTransitionTime: now},
		},
	}
	if _, err := k.Client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("the node's status: %w", err)
	}
	return nil
}

// heartbeat renews the node's lease; without it the controllers would take the node for lost after 40 s.
func (k *Kubelet) heartbeat(ctx context.Context) {
	leases := k.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	holder, seconds := NodeName, int32(40)
	for {
		now := metav1.NowMicro()
		spec := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}
		lease, err := leases.Get(ctx, NodeName, metav1.GetOptions{})
		if err == nil {
			lease.Spec = spec
			_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		} else if apierrors.IsNotFound(err) {
			fresh := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: NodeName}, Spec: spec}
			_, err = leases.Create(ctx, fresh, metav1.CreateOptions{})
		}
		pause := 10 * time.Second
		if err != nil {
			pause = 500 * time.Millisecond // the lease's namespace comes a moment after the API server
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

package kubelet

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"portolan.dev/rig/internal/network"
)

const (
	// quick is how often a pod is looked at while something is still missing; calm, when all runs.
	quick = 100 * time.Millisecond
	calm  = time.Second
	// firstBackoff doubles with each restart up to lastBackoff. A kubelet starts with 10 s; tests cannot wait that long.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 20 * time.Second
)

// worker runs one Pod. All its state but latest, wake and gone belongs to the goroutine of run.
type worker struct {
	k      *Kubelet
	latest atomic.Pointer[corev1.Pod]
	wake   chan struct{}
	gone   chan struct{}
	exits  chan exit

	pod        *corev1.Pod
	dir        string
	net        *network.Pod
	tokens     map[string]string
	written    map[string]string
	inits      []*container
	containers []*container
	started    metav1.Time
	reported   string
	sent       *corev1.PodStatus
}

func newWorker(k *Kubelet, pod *corev1.Pod) *worker {
	w := &worker{
		k: k, pod: pod, dir: filepath.Join(k.Dir, string(pod.UID)), started: metav1.Now(),
		wake: make(chan struct{}, 1), gone: make(chan struct{}), exits: make(chan exit, 16),
		tokens: map[string]string{}, written: map[string]string{},
	}
	w.latest.Store(pod)
	for i := range pod.Spec.InitContainers {
		w.inits = append(w.inits, newContainer(w, &pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		w.containers = append(w.containers, newContainer(w, &pod.Spec.Containers[i], false))
	}
	return w
}

func (w *worker) update(pod *corev1.Pod) {
	w.latest.Store(pod)
	w.poke()
}

func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) ip() string {
	if w.pod.Spec.HostNetwork {
		return w.k.NodeIP
	}
	if w.net == nil {
		return ""
	}
	return w.net.IP.String()
}

// all gives the init containers, then the others.
func (w *worker) all() []*container {
	return append(append([]*container{}, w.inits...), w.containers...)
}

func (w *worker) run(ctx context.Context) {
	defer w.clean()
	for {
		w.pod = w.latest.Load()
		if w.pod.DeletionTimestamp != nil {
			w.terminate(ctx)
			return
		}
		pause := quick
		if w.step(ctx) {
			pause = calm
		}
		w.report(ctx)
		select {
		case <-ctx.Done():
			return
		case <-w.gone:
			return
		case ended := <-w.exits:
			ended.container.exited(ended)
		case <-w.wake:
		case <-time.After(pause):
		}
	}
}

// step does whatever can be done now, and tells whether the pod has all it needs.
func (w *worker) step(ctx context.Context) bool {
	for _, c := range w.all() {
		if _, found := w.k.Images.Find(c.spec.Image); !found {
			w.wait("ErrImageNeverPull", "no program of the rig stands in for the image "+c.spec.Image+"; the rig pulls nothing", "Failed")
			return true
		}
	}
	if w.net == nil && !w.pod.Spec.HostNetwork {
		pod, err := w.k.Net.NewPod()
		if err != nil {
			w.wait("ContainerCreating", err.Error(), "FailedCreatePodSandBox")
			return false
		}
		w.net = pod
	}
	if err := w.materialise(ctx); err != nil {
		reason := "FailedMount"
		if !errors.Is(err, errMissing) {
			reason = "FailedMountByRig"
		}
		w.wait("ContainerCreating", err.Error(), reason)
		return false
	}
	for _, c := range w.inits {
		if !c.succeeded() {
			return w.advance(c) && false
		}
	}
	settled := true
	for _, c := range w.containers {
		settled = w.advance(c) && settled
	}
	return settled
}

// advance starts a container where it is due, and tells whether it runs.
func (w *worker) advance(c *container) bool {
	if c.running() {
		return c.ready()
	}
	if c.finished() {
		return true
	}
	if time.Now().Before(c.nextStart) {
		return false
	}
	if err := c.start(); err != nil {
		w.wait("CreateContainerConfigError", err.Error(), "Failed")
		return false
	}
	return false
}

// wait says why containers do not run, on the pod and once as an event.
func (w *worker) wait(reason, message, event string) {
	for _, c := range w.all() {
		c.waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	}
	if w.reported != event+message {
		w.reported = event + message
		w.k.events.Event(w.pod, corev1.EventTypeWarning, event, message)
	}
}

// terminate ends the containers, with the grace that the Pod has, and takes the Pod's object away.
func (w *worker) terminate(ctx context.Context) {
	grace := 30 * time.Second
	if seconds := w.pod.DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	for _, c := range w.all() {
		c.signal(syscall.SIGTERM)
	}
	deadline := time.After(grace)
	for w.anyRunning() {
		select {
		case ended := <-w.exits:
			ended.container.exited(ended)
		case <-deadline:
			for _, c := range w.all() {
				c.signal(syscall.SIGKILL)
			}
		case <-w.gone:
			return
		case <-ctx.Done():
			return
		}
	}
	w.k.remove(ctx, w.pod)
	select {
	case <-w.gone:
	case <-ctx.Done():
	}
}

func (w *worker) anyRunning() bool {
	for _, c := range w.all() {
		if c.running() {
			return true
		}
	}
	return false
}

// clean leaves nothing of the pod behind, however it ended.
func (w *worker) clean() {
	for _, c := range w.all() {
		c.signal(syscall.SIGKILL)
	}
	for w.anyRunning() {
		ended := <-w.exits
		ended.container.exited(ended)
	}
	if w.net != nil {
		w.net.Close()
	}
	if err := os.RemoveAll(w.dir); err != nil {
		log.Printf("folder of %s/%s: %v", w.pod.Namespace, w.pod.Name, err)
	}
}

package kubelet

import (
	"context"
	"encoding/json"
	"log"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func (c *container) status() corev1.ContainerStatus {
	started := c.running() && c.probes.started.Load()
	status := corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: "rig://" + repository(c.spec.Image),
		ContainerID: c.id, RestartCount: c.restarts, Ready: c.ready(), Started: &started,
	}
	switch {
	case c.running():
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: c.startedAt}
		status.LastTerminationState.Terminated = c.last
	case c.finished():
		status.State.Terminated = c.last
		status.Ready = c.init && c.last.ExitCode == 0
	default:
		status.State.Waiting = c.waiting
		status.LastTerminationState.Terminated = c.last
	}
	return status
}

// phase follows a kubelet: Pending until every container has started once.
func (w *worker) phase() corev1.PodPhase {
	done, failed := true, false
	for _, c := range w.containers {
		if !c.running() && c.last == nil {
			for _, before := range w.inits {
				if before.finished() && !before.succeeded() {
					return corev1.PodFailed
				}
			}
			return corev1.PodPending
		}
		done = done && c.finished()
		failed = failed || c.last != nil && c.last.ExitCode != 0
	}
	switch {
	case done && failed:
		return corev1.PodFailed
	case done:
		return corev1.PodSucceeded
	}
	return corev1.PodRunning
}

func (w *worker) status() *corev1.PodStatus {
	status := &corev1.PodStatus{
		Phase: w.phase(), StartTime: &w.started, HostIP: w.k.NodeIP, HostIPs: []corev1.HostIP{{IP: w.k.NodeIP}},
		QOSClass: w.pod.Status.QOSClass,
	}
	if ip := w.ip(); ip != "" {
		status.PodIP, status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	}
	initialised, ready := true, true
	for _, c := range w.inits {
		status.InitContainerStatuses = append(status.InitContainerStatuses, c.status())
		initialised = initialised && c.succeeded()
	}
	for _, c := range w.containers {
		status.ContainerStatuses = append(status.ContainerStatuses, c.status())
		ready = ready && c.ready()
	}
	status.Conditions = w.conditions(map[corev1.PodConditionType]bool{
		corev1.PodScheduled: true, corev1.PodReadyToStartContainers: status.PodIP != "",
		corev1.PodInitialized: initialised, corev1.ContainersReady: ready, corev1.PodReady: ready,
	})
	return status
}

// conditions keeps the time of each condition that did not change.
func (w *worker) conditions(wanted map[corev1.PodConditionType]bool) []corev1.PodCondition {
	var out []corev1.PodCondition
	for _, kind := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}
		if wanted[kind] {
			condition.Status = corev1.ConditionTrue
		} else if kind == corev1.PodReady || kind == corev1.ContainersReady {
			condition.Reason, condition.Message = "ContainersNotReady", "not every container is ready"
		}
		if w.sent != nil {
			for _, old := range w.sent.Conditions {
				if old.Type == kind && old.Status == condition.Status {
					condition.LastTransitionTime = old.LastTransitionTime
				}
			}
		}
		out = append(out, condition)
	}
	return out
}

// report writes the status where it changed. A merge patch: a strategic one would add to podIPs and then be refused.
func (w *worker) report(ctx context.Context) {
	status := w.status()
	if w.sent != nil && equality.Semantic.DeepEqual(status, w.sent) {
		return
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": w.pod.UID}, "status": status})
	if err != nil {
		log.Printf("status of %s/%s: %v", w.pod.Namespace, w.pod.Name, err)
		return
	}
	_, err = w.k.Client.CoreV1().Pods(w.pod.Namespace).Patch(ctx, w.pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	switch {
	case err == nil:
		w.sent = status
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil:
	default:
		log.Printf("status of %s/%s: %v", w.pod.Namespace, w.pod.Name, err)
	}
}

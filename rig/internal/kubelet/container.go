package kubelet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"portolan.dev/rig/internal/sandbox"
)

// container is one container of a Pod, through all its starts.
type container struct {
	w    *worker
	spec *corev1.Container
	init bool

	cmd       *exec.Cmd
	stop      context.CancelFunc
	id        string
	startedAt metav1.Time
	restarts  int32
	nextStart time.Time
	waiting   *corev1.ContainerStateWaiting
	last      *corev1.ContainerStateTerminated
	probes    *probes
}

// exit is the end of one start.
type exit struct {
	container *container
	code      int
	signal    int
}

func newContainer(w *worker, spec *corev1.Container, init bool) *container {
	return &container{w: w, spec: spec, init: init, waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
}

func (c *container) running() bool { return c.cmd != nil }

func (c *container) succeeded() bool { return c.cmd == nil && c.last != nil && c.last.ExitCode == 0 }

// finished tells whether it ended and, by the Pod's policy, will not start again.
func (c *container) finished() bool {
	if c.cmd != nil || c.last == nil {
		return false
	}
	switch c.w.pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return true
	case corev1.RestartPolicyOnFailure:
		return c.last.ExitCode == 0
	case corev1.RestartPolicyAlways:
		return c.init && c.last.ExitCode == 0
	}
	return false
}

func (c *container) ready() bool { return c.running() && c.probes.isReady() }

func (c *container) logPath() string { return filepath.Join(c.w.dir, c.spec.Name+".log") }

func (c *container) signal(signal syscall.Signal) {
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(signal)
	}
}

// argv puts together what to run: the image's entry point, unless the container names a command, and the arguments.
func (c *container) argv(program Program, vars map[string]string) []string {
	var out []string
	if len(c.spec.Command) > 0 {
		for _, word := range c.spec.Command {
			out = append(out, expand(word, vars))
		}
	} else {
		out = append(out, "/rig/bin/"+filepath.Base(program.Argv[0]))
		out = append(out, program.Argv[1:]...)
	}
	for _, word := range c.spec.Args {
		out = append(out, expand(word, vars))
	}
	return out
}

func (c *container) start() error {
	program, found := c.w.k.Images.Find(c.spec.Image)
	if !found {
		return fmt.Errorf("no program for %s", c.spec.Image)
	}
	vars, err := c.w.environment(c.spec)
	if err != nil {
		return err
	}
	mounts, err := c.w.mounts(c.spec)
	if err != nil {
		return err
	}
	root := filepath.Join(c.w.dir, "roots", c.spec.Name)
	if err := os.MkdirAll(root, 0o755); err != nil { //nolint:gosec
		return err
	}
	env := make([]string, 0, len(vars))
	for key, value := range vars {
		env = append(env, key+"="+value)
	}
	cmd, err := sandbox.Command(&sandbox.Spec{
		Root: root, Hostname: c.w.pod.Name, Programs: append([]string{program.Argv[0]}, program.Beside...), Mounts: mounts,
		Argv: c.argv(program, vars), Env: env, Dir: c.spec.WorkingDir, IP: c.w.ip(),
	})
	if err != nil {
		return err
	}
	output, err := openLog(c.logPath())
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = output, output
	start := cmd.Start
	if c.w.net != nil {
		start = func() error { return c.w.net.Start(cmd) }
	}
	if err := start(); err != nil {
		_ = output.file.Close()
		return err
	}
	c.begun(cmd)
	go func() {
		ended := exit{container: c}
		if err := cmd.Wait(); err != nil {
			ended.code = sandbox.FailedToStart
			var status *exec.ExitError
			if errors.As(err, &status) {
				ended.code = status.ExitCode()
				if wait, ok := status.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
					ended.signal = int(wait.Signal())
					ended.code = 128 + ended.signal
				}
			}
		}
		_ = output.file.Close()
		c.w.exits <- ended
	}()
	return nil
}

func (c *container) begun(cmd *exec.Cmd) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	c.cmd, c.id, c.waiting = cmd, "rig://"+hex.EncodeToString(raw), nil
	if c.last != nil {
		c.restarts++
	}
	c.startedAt = metav1.Now()
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.probes = startProbes(ctx, c)
}

// exited takes note of an end. Only a start that lasted a while resets the backoff.
func (c *container) exited(ended exit) {
	c.stop()
	c.cmd = nil
	reason := "Completed"
	if ended.code != 0 {
		reason = "Error"
	}
	c.last = &corev1.ContainerStateTerminated{
		ExitCode: int32(ended.code), Signal: int32(ended.signal), Reason: reason, //nolint:gosec // exit codes are small
		StartedAt: c.startedAt, FinishedAt: metav1.Now(), ContainerID: c.id,
	}
	backoff := firstBackoff << min(c.restarts, 10)
	if time.Since(c.startedAt.Time) > time.Minute {
		backoff = firstBackoff
	}
	c.nextStart = time.Now().Add(min(backoff, lastBackoff))
	c.waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "exit code " + strconv.Itoa(ended.code)}
}

// probes holds what the probes of one start say.
type probes struct{ started, prepared atomic.Bool }

func (p *probes) isReady() bool { return p.started.Load() && p.prepared.Load() }

package kubelet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// startProbes runs a container's probes until ctx ends. A container without probes is started and ready at once.
func startProbes(ctx context.Context, c *container) *probes {
	p := &probes{}
	p.started.Store(c.spec.StartupProbe == nil)
	p.prepared.Store(c.spec.ReadinessProbe == nil)
	// Taken now: the goroutine must not read the worker's state.
	target := target{ip: c.w.ip(), ports: c.spec.Ports}
	pod, process := c.w.pod, c.cmd.Process
	kill := func(kind string, err error) {
		c.w.k.events.Eventf(pod, corev1.EventTypeWarning, "Unhealthy", "%s probe failed, the container is restarted: %v", kind, err)
		_ = process.Signal(syscall.SIGKILL)
	}
	go func() {
		if probe := c.spec.StartupProbe; probe != nil {
			if err := untilSuccess(ctx, probe, target); err != nil {
				if ctx.Err() == nil {
					kill("startup", err)
				}
				return
			}
			p.started.Store(true)
			c.w.poke()
		}
		if probe := c.spec.ReadinessProbe; probe != nil {
			go watch(ctx, probe, target, func(err error) {
				if p.prepared.Swap(err == nil) != (err == nil) {
					c.w.poke()
				}
				if err != nil {
					c.w.k.events.Eventf(pod, corev1.EventTypeWarning, "Unhealthy", "readiness probe failed: %v", err)
				}
			})
		}
		if probe := c.spec.LivenessProbe; probe != nil {
			watch(ctx, probe, target, func(err error) {
				if err != nil {
					kill("liveness", err)
				}
			})
		}
	}()
	return p
}

type target struct {
	ip    string
	ports []corev1.ContainerPort
}

func (t target) port(wanted intstr.IntOrString) (string, error) {
	if wanted.Type == intstr.Int {
		return strconv.Itoa(wanted.IntValue()), nil
	}
	for _, port := range t.ports {
		if port.Name == wanted.StrVal {
			return strconv.Itoa(int(port.ContainerPort)), nil
		}
	}
	return "", fmt.Errorf("the container has no port %q", wanted.StrVal)
}

func seconds(value, otherwise int32) time.Duration {
	if value <= 0 {
		value = otherwise
	}
	return time.Duration(value) * time.Second
}

func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// untilSuccess asks until the probe succeeds, or fails as often as it may.
func untilSuccess(ctx context.Context, probe *corev1.Probe, target target) error {
	if !sleep(ctx, seconds(probe.InitialDelaySeconds, 0)) {
		return ctx.Err()
	}
	for failures := int32(0); ; {
		err := once(ctx, probe, target)
		if err == nil {
			return nil
		}
		if failures++; failures >= max(probe.FailureThreshold, 1) {
			return err
		}
		if !sleep(ctx, seconds(probe.PeriodSeconds, 10)) {
			return ctx.Err()
		}
	}
}

// watch tells each time that the thresholds are passed. Until the first success it asks every 200 ms, so that a pod turns
// ready when it is, not a period later.
func watch(ctx context.Context, probe *corev1.Probe, target target, tell func(error)) {
	if !sleep(ctx, seconds(probe.InitialDelaySeconds, 0)) {
		return
	}
	var successes, failures int32
	succeeded := false
	for {
		err := once(ctx, probe, target)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			successes, failures, succeeded = successes+1, 0, true
			if successes == max(probe.SuccessThreshold, 1) {
				tell(nil)
			}
		} else {
			successes, failures = 0, failures+1
			if failures == max(probe.FailureThreshold, 1) {
				tell(err)
				failures = 0
			}
		}
		pause := seconds(probe.PeriodSeconds, 10)
		if !succeeded {
			pause = min(pause, 200*time.Millisecond)
			failures = 0
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

func once(ctx context.Context, probe *corev1.Probe, target target) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(probe.TimeoutSeconds, 1))
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return httpProbe(ctx, probe.HTTPGet, target)
	case probe.TCPSocket != nil:
		port, err := target.port(probe.TCPSocket.Port)
		if err != nil {
			return err
		}
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(target.ip, port))
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return errors.New("the rig runs HTTP and TCP probes only")
}

func httpProbe(ctx context.Context, get *corev1.HTTPGetAction, target target) error {
	port, err := target.port(get.Port)
	if err != nil {
		return err
	}
	host := target.ip
	if get.Host != "" {
		host = get.Host
	}
	scheme := "http"
	if get.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+get.Path, nil)
	if err != nil {
		return err
	}
	for _, header := range get.HTTPHeaders {
		request.Header.Set(header.Name, header.Value)
	}
	// As a kubelet does: a probe does not verify certificates.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return nil
}

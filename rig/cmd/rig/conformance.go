package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"portolan.dev/rig/internal/cluster"
	"portolan.dev/rig/internal/stub"
)

// profiles are the five that concern a gateway; the others are about meshes.
const profiles = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP"

// className is the GatewayClass that the suite is run with.
const className = "gateway-conformance"

type conformanceOptions struct {
	test, profile, gateway, controller, channel, api, options, report, timeouts, logs string
	balancer                                                                          bool
	images                                                                            []string
	rest                                                                              []string
}

func parseConformance(args []string) (*conformanceOptions, error) {
	o := &conformanceOptions{}
	flags := flag.NewFlagSet("rig conformance", flag.ContinueOnError)
	flags.StringVar(&o.test, "test", "", "run this one test")
	flags.StringVar(&o.profile, "profile", profiles, "profiles to run, with commas")
	flags.StringVar(&o.gateway, "gateway", "", "command that starts the implementation; stub is the rig's own trivial one, none is nothing")
	flags.StringVar(&o.controller, "controller", "", "controllerName of the GatewayClass (by default Portolan's, or the stub's)")
	flags.StringVar(&o.channel, "channel", "standard", "channel of the definitions: standard or experimental")
	flags.StringVar(&o.api, "api", "", "version of suite and definitions, if not the newest: 1.6.3")
	flags.StringVar(&o.options, "options", "", "the suite's options file")
	flags.StringVar(&o.report, "report", "", "file for the suite's report")
	flags.StringVar(&o.timeouts, "timeouts", "", "the suite's timeout overrides, Name:seconds with semicolons between")
	flags.StringVar(&o.logs, "keep-logs", "", "folder for the logs of the components and of the implementation")
	flags.BoolVar(&o.balancer, "balancer", false, "as of rig up")
	flags.Func("image", "as of rig up", func(text string) error {
		o.images = append(o.images, "--image="+text)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	o.rest = flags.Args()
	if o.controller == "" {
		o.controller = "portolan.dev/gateway-controller"
		if o.gateway == "stub" {
			o.controller = stub.Controller
		}
	}
	return o, nil
}

// conformance is up with the suite as its command.
func conformance(args []string) error {
	o, err := parseConformance(args)
	if err != nil {
		return err
	}
	if o.gateway == "" {
		return errors.New("--gateway COMMAND starts the implementation to be tested; `stub` is the rig's own trivial one, `none` tests nothing and must fail")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	outer := append([]string{"--crds=" + o.channel, "--api=" + o.api}, o.images...)
	if o.balancer {
		outer = append(outer, "--balancer")
	}
	if o.logs != "" {
		outer = append(outer, "--keep-logs="+o.logs)
	}
	outer = append(outer, "--", self, "conformance-inside")
	return up(append(outer, args...))
}

func conformanceInside(args []string) error {
	o, err := parseConformance(args)
	if err != nil {
		return err
	}
	if err := gatewayClass(o.controller); err != nil {
		return err
	}
	implementation, err := startGateway(o)
	if err != nil {
		return err
	}
	defer implementation.end()
	if o.gateway == "none" {
		// Nobody states features, and without any the suite would end before it looks at the class.
		o.rest = append(o.rest, "--supported-features=Gateway,HTTPRoute,ReferenceGrant")
	} else if err := awaitFeatures(implementation.done); err != nil {
		return fmt.Errorf("%w; the implementation's output:\n%s", err, cluster.Tail(implementation.log))
	}
	suite := exec.Command(filepath.Join(os.Getenv("RIG_TOOLS"), ofVersion("conformance.test", o.api)), suiteArgs(o)...)
	suite.Stdout, suite.Stderr = os.Stdout, os.Stderr
	if err := suite.Start(); err != nil {
		return fmt.Errorf("the suite: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- suite.Wait() }()
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	select {
	case err := <-done:
		return ended(err)
	case err := <-implementation.done:
		_ = suite.Process.Kill()
		return fmt.Errorf("the implementation ended while the suite ran (%v); its output is in %s", err, implementation.log)
	case <-stop.Done():
		_ = suite.Process.Kill()
		return errors.New("told to end")
	}
}

func suiteArgs(o *conformanceOptions) []string {
	args := []string{"-test.v", "-test.timeout=3h", "-test.run=^TestConformance$", "--gateway-class=" + className, "--conformance-profiles=" + o.profile}
	for flag, value := range map[string]string{
		"run-test": o.test, "conformance-options-file": o.options, "report-output": o.report, "timeout-config-overrides": o.timeouts,
	} {
		if value != "" {
			args = append(args, "--"+flag+"="+value)
		}
	}
	if o.report != "" {
		args = append(args, "--organization=portolan", "--project=portolan", "--url=https://portolan.dev", "--version=dev", "--contact=portolan.dev")
	}
	return append(args, o.rest...)
}

func gatewayClient() (client.Client, error) {
	config, err := restConfig(os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := gatewayv1.Install(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// awaitFeatures waits until the implementation has stated its features on the class: the suite reads them once, at its
// very start. One that states none is tested all the same, after half a minute; the suite then says what it misses.
func awaitFeatures(ended <-chan error) error {
	c, err := gatewayClient()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		class := &gatewayv1.GatewayClass{}
		if err := c.Get(context.Background(), client.ObjectKey{Name: className}, class); err != nil {
			return err
		}
		if len(class.Status.SupportedFeatures) > 0 {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the implementation ended at once (%v)", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Fprintln(os.Stderr, "rig: the implementation has stated no supported features on the GatewayClass")
	return nil
}

// gatewayClass makes the class that the suite expects to find.
func gatewayClass(controller string) error {
	c, err := gatewayClient()
	if err != nil {
		return err
	}
	return c.Create(context.Background(), &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: className},
		Spec:       gatewayv1.GatewayClassSpec{ControllerName: gatewayv1.GatewayController(controller)},
	})
}

// gatewayProcess is the implementation under test.
type gatewayProcess struct {
	cmd  *exec.Cmd
	done chan error
	log  string
}

func startGateway(o *conformanceOptions) (*gatewayProcess, error) {
	g := &gatewayProcess{done: make(chan error, 1), log: filepath.Join(os.Getenv("RIG_DIR"), "logs", "gateway.log")}
	switch o.gateway {
	case "none":
		return g, nil
	case "stub":
		g.cmd = exec.Command(os.Getenv("RIG"), "stub-gateway")
	default:
		g.cmd = exec.Command("/bin/sh", "-c", o.gateway) //nolint:gosec // that is what it is for
	}
	file, err := os.OpenFile(g.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	g.cmd.Stdout, g.cmd.Stderr = file, file
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the implementation: %w", err)
	}
	go func() {
		g.done <- g.cmd.Wait()
		close(g.done)
	}()
	return g, nil
}

// end lets the implementation end by itself; whatever it leaves ends with the rig.
func (g *gatewayProcess) end() {
	if g.cmd == nil {
		return
	}
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(10 * time.Second):
	}
}

func stubGateway([]string) error {
	config, err := restConfig(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS = -1
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := stub.Run(ctx, config); err != nil && !strings.Contains(err.Error(), "context canceled") {
		return err
	}
	return nil
}

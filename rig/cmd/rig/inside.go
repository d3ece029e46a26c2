package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"portolan.dev/rig/internal/balancer"
	"portolan.dev/rig/internal/cluster"
	"portolan.dev/rig/internal/kubelet"
	"portolan.dev/rig/internal/network"
	"portolan.dev/rig/internal/pki"
)

type insideOptions struct {
	images []string
	crds   string
	api    string
	logs   string
	quiet  bool
	// balancer gives Services of type LoadBalancer an address and serves them there.
	balancer bool
	command  []string
}

func parseInside(args []string) (*insideOptions, error) {
	options := &insideOptions{}
	flags := flag.NewFlagSet("rig up", flag.ContinueOnError)
	flags.Func("image", "NAME=PROGRAM[,PROGRAM...]: run PROGRAM for pods of this image, with the others in its PATH (repeatable)", func(text string) error {
		options.images = append(options.images, text)
		return kubelet.Images{}.Add(text)
	})
	flags.StringVar(&options.crds, "crds", "standard", "channel of the Gateway API's definitions to install: standard, experimental or none")
	flags.StringVar(&options.api, "api", "", "version of those definitions, if not the newest: 1.6.3")
	flags.StringVar(&options.logs, "keep-logs", "", "folder into which the components' logs are copied at the end")
	flags.BoolVar(&options.balancer, "balancer", false, "give Services of type LoadBalancer addresses of the gateway range, and serve them there")
	flags.BoolVar(&options.quiet, "quiet", false, "say nothing while starting")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch options.crds {
	case "standard", "experimental", "none":
	default:
		return nil, fmt.Errorf("--crds is standard, experimental or none, not %q", options.crds)
	}
	options.command = flags.Args()
	return options, nil
}

// ofVersion is the name that rig/setup gives to a target's part: that of the newest has no version.
func ofVersion(name, version string) string {
	if version == "" {
		return name
	}
	return name + "-" + strings.TrimPrefix(version, "v")
}

// inside brings the rig up in the namespaces that up made, runs the command and ends; the kernel ends the rest.
func inside(args []string) error {
	if err := network.CheckIsolated(); err != nil {
		return err
	}
	if err := network.CheckEmpty(); err != nil {
		return err
	}
	if len(args) == 0 {
		return errors.New("inside is started by `rig up`")
	}
	dir := args[0]
	options, err := parseInside(args[1:])
	if err != nil {
		return err
	}
	tools, err := toolsDir()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if options.logs != "" {
		if err := os.MkdirAll(options.logs, 0o755); err != nil { //nolint:gosec
			return err
		}
		defer keepLogs(filepath.Join(dir, "logs"), options.logs)
	}
	say := func(format string, args ...any) {
		if !options.quiet {
			fmt.Fprintf(os.Stderr, "rig: "+format+"\n", args...)
		}
	}
	begun := time.Now()
	running, env, err := start(ctx, dir, tools, options)
	if err != nil {
		return err
	}
	say("API server %s ready after %.1f s; no route leaves this namespace; KUBECONFIG is set", running.version, time.Since(begun).Seconds())
	return command(ctx, running.cluster, options.command, env)
}

type rig struct {
	cluster *cluster.Cluster
	version string
}

// start brings up network, control plane, stand-in and definitions, in this order.
func start(ctx context.Context, dir, tools string, options *insideOptions) (*rig, []string, error) {
	pods, err := network.Make()
	if err != nil {
		return nil, nil, err
	}
	if err := network.CheckIsolated(); err != nil {
		return nil, nil, err // the rig itself must not have opened a way out
	}
	routes, err := network.Table()
	if err != nil {
		return nil, nil, err
	}
	c, err := cluster.Start(ctx, dir, tools)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(c.LogFile("routes"), []byte(routes), 0o600); err != nil {
		return nil, nil, err
	}
	admin, err := c.Kubeconfig("admin.kubeconfig", "rig:admin", "system:masters")
	if err != nil {
		return nil, nil, err
	}
	version, err := standIn(ctx, c, pods, tools, options)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	env := append(os.Environ(),
		"KUBECONFIG="+admin, "RIG_DIR="+dir, "RIG_TOOLS="+tools, "RIG="+self, "RIG_NODE_IP="+network.NodeIP,
		"RIG_POD_CIDR="+network.PodCIDR, "RIG_GATEWAY_CIDR="+network.GatewayCIDR, "RIG_UNUSABLE_ADDRESS="+network.UnusableAddress,
		"PATH="+tools+":"+os.Getenv("PATH"))
	if options.crds != "none" {
		if err := definitions(ctx, filepath.Join(tools, ofVersion("gateway-api", options.api), options.crds), env, tools); err != nil {
			return nil, nil, err
		}
	}
	return &rig{cluster: c, version: version}, env, nil
}

func images(tools string, more []string) (kubelet.Images, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out := kubelet.Images{
		"gateway-api/conformance/echo-basic": {Argv: []string{filepath.Join(tools, "echo-basic")}},
		// As the suite before 1.7 has them.
		"gateway-api/echo-basic": {Argv: []string{filepath.Join(tools, "echo-basic")}},
		"coredns/coredns":        {Argv: []string{self, "dns-answer"}},
	}
	for _, text := range more {
		if err := out.Add(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func standIn(ctx context.Context, c *cluster.Cluster, pods *network.Net, tools string, options *insideOptions) (string, error) {
	config, err := restConfig(filepath.Join(c.Dir, "admin.kubeconfig"))
	if err != nil {
		return "", err
	}
	config.QPS, config.Burst = -1, -1 // it stands in for parts that would each have a client of their own
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	version, err := client.ServerVersion()
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(c.LogFile("stand-in"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	log.SetOutput(file)
	known, err := images(tools, options.images)
	if err != nil {
		return "", err
	}
	k := &kubelet.Kubelet{
		Client: client, Net: pods, NodeIP: network.NodeIP, Version: version.GitVersion,
		Dir: filepath.Join(c.Dir, "pods"), Images: known,
	}
	serving, err := c.CA.Issue("kubelet", pki.Leaf{User: "system:node:" + kubelet.NodeName, Addresses: []net.IP{net.ParseIP(network.NodeIP)}})
	if err != nil {
		return "", err
	}
	if err := k.Serve(ctx, serving, c.CA.CertFile(), cluster.KubeletUser); err != nil {
		return "", err
	}
	if err := k.Start(ctx); err != nil {
		return "", err
	}
	if options.balancer {
		return version.GitVersion, balancer.Start(ctx, client)
	}
	return version.GitVersion, nil
}

func restConfig(path string) (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", path)
}

// definitions installs the Gateway API's CustomResourceDefinitions and waits until they are served.
func definitions(ctx context.Context, dir string, env []string, tools string) error {
	for _, args := range [][]string{
		{"apply", "--server-side", "--filename", dir},
		{"wait", "--for=condition=Established", "--timeout=60s", "--all", "customresourcedefinitions"},
	} {
		cmd := exec.CommandContext(ctx, filepath.Join(tools, "kubectl"), args...)
		cmd.Env = env
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, output)
		}
	}
	return nil
}

// command runs what the rig was started for, beside the cluster.
func command(ctx context.Context, c *cluster.Cluster, argv, env []string) error {
	if len(argv) == 0 {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		argv = []string{shell}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT) // the terminal's interrupts are meant for the command
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return ended(err)
	case err := <-c.Died():
		return err
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			return ended(err)
		case <-time.After(10 * time.Second):
			return errors.New("told to end, and the command did not")
		}
	}
}

func keepLogs(from, to string) {
	entries, _ := os.ReadDir(from)
	for _, entry := range entries {
		source, err := os.Open(filepath.Join(from, entry.Name()))
		if err != nil {
			continue
		}
		if target, err := os.Create(filepath.Join(to, entry.Name())); err == nil {
			_, _ = io.Copy(target, source)
			_ = target.Close()
		}
		_ = source.Close()
	}
}

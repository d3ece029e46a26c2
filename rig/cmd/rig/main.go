// Command rig runs a real Kubernetes API server, without any kubelet, in a network namespace that nothing can leave.
//
//	rig up [flags] [-- COMMAND...]    run a command, or a shell, inside a fresh rig
//	rig conformance [flags]           run the official Gateway API suite in a fresh rig
//	rig mint [flags]                  inside: write a kubeconfig for any user, group or service account
//	rig judge [flags]                 inside: ask the API server about objects without storing them
//	rig check                         tell whether this machine lets a rig start
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"portolan.dev/rig/internal/dnsanswer"
	"portolan.dev/rig/internal/sandbox"
)

// exitCode is an end that says all it has to say by its number.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	name, args := "", os.Args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	verbs := map[string]func([]string) error{
		"up": up, "check": check, "mint": mint, "judge": judge, "conformance": conformance,
		// The rest is started by the rig itself.
		"init": initProcess, "inside": inside, "conformance-inside": conformanceInside, "stub-gateway": stubGateway,
		"dns-answer":     func([]string) error { return dnsanswer.Serve() },
		"container-init": containerInit,
	}
	verb, found := verbs[name]
	if !found {
		fmt.Fprintln(os.Stderr, "usage: rig up [flags] [-- COMMAND...] | rig conformance [flags] | rig mint [flags] | rig check")
		os.Exit(2)
	}
	err := verb(args)
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "rig: "+err.Error())
		if errors.Is(err, errNoRoot) {
			os.Exit(noRoot)
		}
		os.Exit(1)
	}
}

func containerInit(args []string) error {
	if len(args) != 1 {
		return errors.New("container-init takes one argument")
	}
	err := sandbox.Enter(args[0])
	fmt.Fprintln(os.Stderr, "rig: the container's program could not be started: "+err.Error())
	return exitCode(sandbox.FailedToStart)
}

// ended turns the end of a command into ours.
func ended(err error) error {
	var status *exec.ExitError
	if errors.As(err, &status) {
		if code := status.ExitCode(); code > 0 {
			return exitCode(code)
		}
		return exitCode(128 + 9)
	}
	return err
}

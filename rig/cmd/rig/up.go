package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// noRoot is the exit code that says: nothing is wrong but that this is not root.
const noRoot = 3

var errNoRoot = errors.New("the rig needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN: it makes a network, a process and a mount namespace, a bridge, and a virtual cable for each pod")

const runPrefix = "portolan-rig-"

// namespaces are the rig's own: of the network, so that nothing leaves it; of processes, so that the kernel itself ends
// everything with the first of them, even after kill -9; of mounts, so that none of them is seen outside.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC

// check tries exactly what up does first.
func check([]string) error {
	cmd := exec.Command("/proc/self/exe", "nothing")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	err := cmd.Start()
	if err != nil {
		return refusal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return nil
}

func refusal(err error) error {
	if os.Geteuid() != 0 || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w (the kernel said: %v)", errNoRoot, err)
	}
	return err
}

// up makes the namespaces and starts the rig in them.
func up(args []string) error {
	if _, err := parseInside(args); err != nil {
		return err
	}
	sweep()
	dir, lock, err := makeRunDir()
	if err != nil {
		return err
	}
	defer lock.Close()
	defer os.RemoveAll(dir)

	// The kernel ends the child with the thread that made it, so this thread must last as long as we do.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", append([]string{"init", dir}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := cmd.Start(); err != nil {
		return refusal(err)
	}
	go func() {
		for sig := range signals {
			// A terminal sends its interrupts to all of its foreground group, so to the child too.
			if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
				_ = cmd.Process.Signal(sig)
			}
		}
	}()
	return ended(cmd.Wait())
}

// makeRunDir makes a folder whose lock is held as long as this process lives.
func makeRunDir() (string, *os.File, error) {
	for {
		dir, err := os.MkdirTemp("", runPrefix)
		if err != nil {
			return "", nil, err
		}
		lock, err := lockIn(dir)
		if err != nil || lock != nil {
			return dir, lock, err
		}
	}
}

// lockIn makes and takes the folder's lock. It gives none where the sweep of another start was quicker: between making
// and taking, the folder looks like that of a killed run.
func lockIn(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	held, err := lock.Stat()
	if err != nil {
		return nil, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(held, there) {
		return nil, lock.Close()
	}
	return lock, nil
}

// sweep removes the folders of runs that were killed: those whose lock nobody holds. Processes, namespaces and mounts of
// such a run are gone already, which is the kernel's doing.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), runPrefix+"*"))
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // just being made, or not ours
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
			fmt.Fprintln(os.Stderr, "rig: removed what a killed run left: "+dir)
		}
		_ = lock.Close()
	}
}

// initProcess is the first process of the process namespace: it starts the rig, collects every orphan, and ends with it.
func initProcess(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if os.Getpid() != 1 {
		return errors.New("init runs as the first process of the rig's namespace only; start it with `rig up`")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	child, err := syscall.ForkExec(self, append([]string{self, "inside"}, args...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return err
	}
	go func() {
		for sig := range signals {
			if sig == syscall.SIGTERM || sig == syscall.SIGHUP {
				_ = syscall.Kill(child, syscall.SIGTERM)
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return err
		case pid == child && status.Signaled():
			return exitCode(128 + int(status.Signal()))
		case pid == child && status.Exited():
			if status.ExitStatus() == 0 {
				return nil
			}
			return exitCode(status.ExitStatus())
		}
	}
}

// toolsDir is where rig/setup links the programs: beside the rig's own program, unless the environment says otherwise.
func toolsDir() (string, error) {
	if dir := os.Getenv("RIG_TOOLS"); dir != "" {
		return filepath.Abs(dir)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSuffix(self, " (deleted)")), nil
}

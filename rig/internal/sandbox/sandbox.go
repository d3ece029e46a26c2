// Package sandbox gives a container's program its own view of the file system and of processes, without any image:
// the machine's own programs read-only, /etc, /tmp and /dev of its own, and the volumes at their paths.
//
// It is a test bed's convenience, not a security boundary: the programs are our own and run as root.
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mount puts a folder or file of the machine at a path of the container.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}

// Spec is one start of a container.
type Spec struct {
	// Root is an empty folder on which the container's root is built; the mounts are seen by the container only.
	Root     string
	Hostname string
	// Programs are linked into /rig/bin, which comes first in PATH.
	Programs []string
	Mounts   []Mount
	Argv     []string
	Env      []string
	Dir      string
	// IP and Aliases go into /etc/hosts.
	IP string
}

// FailedToStart is the exit code of a container whose program could not be started at all.
const FailedToStart = 125

// Command is the command that enters the container; the caller starts it in the pod's network namespace.
func Command(spec *Spec) (*exec.Cmd, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "container-init", string(raw))
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A process namespace of its own: killing its first process ends all that the program started.
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	return cmd, nil
}

// Enter is the first thing that runs in the new namespaces: it builds the root and becomes the program.
func Enter(raw string) error {
	var spec Spec
	if err := json.Unmarshal([]byte(raw), &spec); err != nil {
		return err
	}
	if len(spec.Argv) == 0 {
		return errors.New("no command")
	}
	if err := build(&spec); err != nil {
		return err
	}
	if err := unix.Chroot(spec.Root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if spec.Dir == "" {
		spec.Dir = "/"
	}
	if err := os.Chdir(spec.Dir); err != nil {
		return err
	}
	for _, pair := range spec.Env {
		if len(pair) > 5 && pair[:5] == "PATH=" {
			_ = os.Setenv("PATH", pair[5:])
		}
	}
	program, err := exec.LookPath(spec.Argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, spec.Argv, spec.Env) //nolint:gosec // that is what it is for
}

func build(spec *Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := unix.Mount("rig", spec.Root, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	for _, step := range []func(*Spec) error{system, etc, devices, programs, volumes} {
		if err := step(spec); err != nil {
			return err
		}
	}
	return nil
}

// system brings the machine's own programs and libraries in, read-only.
func system(spec *Spec) error {
	for _, name := range []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		source, target := "/"+name, filepath.Join(spec.Root, name)
		info, err := os.Lstat(source)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return err
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(source)
			if err != nil {
				return err
			}
			if err := os.Symlink(to, target); err != nil {
				return err
			}
		default:
			if err := bind(source, target, true); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"tmp", "var", "var/tmp", "var/run", "run", "root", "home"} {
		if err := os.MkdirAll(filepath.Join(spec.Root, name), 0o755); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(spec.Root, "tmp"), 0o777|os.ModeSticky)
}

func etc(spec *Spec) error {
	dir := filepath.Join(spec.Root, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"group":         "root:x:0:\nnogroup:x:65534:\n",
		"hosts":         fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n", spec.IP, spec.Hostname),
		"hostname":      spec.Hostname + "\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"resolv.conf":   "# the rig has no resolver\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec
			return err
		}
	}
	for _, name := range []string{"ssl", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"} {
		if _, err := os.Stat("/etc/" + name); err != nil {
			continue
		}
		if err := bind("/etc/"+name, filepath.Join(dir, name), true); err != nil {
			return err
		}
	}
	return nil
}

func devices(spec *Spec) error {
	dev := filepath.Join(spec.Root, "dev")
	if err := os.MkdirAll(filepath.Join(dev, "shm"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		if err := bind("/dev/"+name, filepath.Join(dev, name), false); err != nil {
			return err
		}
	}
	if err := unix.Mount("shm", filepath.Join(dev, "shm"), "tmpfs", 0, "mode=1777"); err != nil {
		return fmt.Errorf("/dev/shm: %w", err)
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	proc := filepath.Join(spec.Root, "proc")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", proc, "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	return nil
}

func programs(spec *Spec) error {
	for _, program := range spec.Programs {
		real, err := filepath.EvalSymlinks(program)
		if err != nil {
			return err
		}
		if err := bind(real, filepath.Join(spec.Root, "rig/bin", filepath.Base(program)), true); err != nil {
			return err
		}
	}
	return nil
}

func volumes(spec *Spec) error {
	for _, mount := range spec.Mounts {
		if err := bind(mount.Source, filepath.Join(spec.Root, filepath.Clean("/"+mount.Target)), mount.ReadOnly); err != nil {
			return fmt.Errorf("volume at %s: %w", mount.Target, err)
		}
	}
	return nil
}

// bind makes the target and mounts the source on it.
func bind(source, target string, readOnly bool) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
	} else {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(target, os.O_CREATE, 0o644) //nolint:gosec
		if err != nil {
			return err
		}
		_ = file.Close()
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", source, err)
	}
	if !readOnly {
		return nil
	}
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("%s read-only: %w", target, err)
	}
	return nil
}

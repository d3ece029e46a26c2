// Package outside proves the rig from without: where it refuses to start, what the suite says of it, and what a kill
// leaves behind. The tests start rigs of their own; they need root and run on the machine itself.
package outside

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var program = os.Getenv("RIG_PROGRAM")

func TestMain(m *testing.M) {
	if program == "" {
		fmt.Fprintln(os.Stderr, "these tests are run by make rig-test")
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// run gives a command's whole output and its exit code.
func run(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func rig(t *testing.T, limit time.Duration, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return run(t, exec.CommandContext(ctx, program, args...))
}

func inNewNamespace(script string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-ec", script, "sh", program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return cmd
}

func TestRefusesWhereADefaultRouteIs(t *testing.T) {
	for name, script := range map[string]string{
		"IPv4":          "ip link set lo up; ip route add default dev lo",
		"IPv6":          "ip link set lo up; ip -6 route add default dev lo",
		"another table": "ip link set lo up; ip route add default dev lo table 77",
		"in two halves": "ip link set lo up; ip route add 0.0.0.0/1 dev lo; ip route add 128.0.0.0/1 dev lo",
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, inNewNamespace(script+`; exec "$1" inside /nonexistent`))
			if code != 1 || !strings.Contains(out, "default route") {
				t.Fatalf("exit code %d: %s", code, out)
			}
		})
	}
}

func TestRefusesInSomebodyElsesNamespace(t *testing.T) {
	out, code := run(t, inNewNamespace(`ip link add theirs type bridge; exec "$1" inside /nonexistent`))
	if code != 1 || !strings.Contains(out, `has the link "theirs"`) {
		t.Fatalf("exit code %d: %s", code, out)
	}
}

func TestSaysThatItNeedsRoot(t *testing.T) {
	// nobody cannot reach into root's folders, so it gets a copy.
	dir, err := os.MkdirTemp("", "rig-test-") // not t.TempDir, whose parents are closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "rig")
	raw, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, raw, 0o755); err != nil { //nolint:gosec
		t.Fatal(err)
	}
	for _, verb := range []string{"check", "up"} {
		cmd := exec.Command(copied, verb)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, code := run(t, cmd); code != 3 || !strings.Contains(out, "needs root") {
			t.Errorf("%s: exit code %d: %s", verb, code, out)
		}
	}
}

func TestGivesTheCommandsExitCodeAndLeavesNothing(t *testing.T) {
	before := leftovers(t)
	out, code := rig(t, 3*time.Minute, "up", "--crds=none", "--", "/bin/sh", "-c", "echo dir=$RIG_DIR; exit 42")
	if code != 42 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	dir := regexp.MustCompile(`dir=(\S+)`).FindStringSubmatch(out)
	if dir == nil {
		t.Fatal(out)
	}
	if _, err := os.Stat(dir[1]); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir[1], err)
	}
	if after := leftovers(t); after != before {
		t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
	}
}

// leftovers is what a run could leave in the machine's own mounts and named namespaces.
func leftovers(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, "rig") || strings.HasPrefix(line, "nsfs") {
			fmt.Fprintln(&out, line)
		}
	}
	named, _ := filepath.Glob("/run/netns/*")
	fmt.Fprintln(&out, named)
	return out.String()
}

// namespacesOf gives a process's own namespaces.
func namespacesOf(pid int) []string {
	var out []string
	for _, kind := range []string{"net", "mnt", "pid"} {
		if id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// living counts the processes that are in any of these namespaces.
func living(ids map[string]bool) int {
	count := 0
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		for _, kind := range []string{"net", "mnt", "pid"} {
			if id, err := os.Readlink(entry + "/ns/" + kind); err == nil && ids[id] {
				count++
				break
			}
		}
	}
	return count
}

// descendants gives a process and all that came from it.
func descendants(pid int) []int {
	out := []int{pid}
	raw, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range raw {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				out = append(out, descendants(child)...)
			}
		}
	}
	return out
}

const onePod = `kubectl wait --for=create serviceaccount/default --timeout=60s >/dev/null
kubectl run echo --image=example.com/gateway-api/echo-basic:1 >/dev/null
kubectl wait --for=condition=Ready pod/echo --timeout=60s
sleep 1000 & echo UP $RIG_DIR; wait`

func TestKillLeavesNothing(t *testing.T) {
	for _, who := range []string{"the outer process", "the harness inside"} {
		t.Run(who, func(t *testing.T) {
			before := leftovers(t)
			cmd := exec.Command(program, "up", "--quiet", "--crds=none", "--", "/bin/sh", "-ec", onePod)
			reader, writer := io.Pipe()
			cmd.Stdout, cmd.Stderr = writer, writer
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait(); _ = writer.Close() }()
			// A failed test must not leave its rig running; the outer process takes all of it along.
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			dir := awaitUp(t, reader)

			own := namespacesOf(os.Getpid())
			ids := map[string]bool{}
			family := descendants(cmd.Process.Pid)
			for _, pid := range family[1:] {
				for _, id := range namespacesOf(pid) {
					ids[id] = true
				}
			}
			for _, id := range own {
				delete(ids, id)
			}
			// Init, harness, etcd, API server, controller manager, shell, sleep and the pod at least; the pod alone has three namespaces.
			if len(family) < 8 || len(ids) < 6 {
				t.Fatalf("only %d processes and %d namespaces before the kill", len(family), len(ids))
			}
			victim := cmd.Process.Pid
			if who == "the harness inside" {
				victim = descendants(family[1])[1]
			}
			if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-done
			deadline := time.Now().Add(20 * time.Second)
			for living(ids) > 0 {
				if time.Now().After(deadline) {
					t.Fatalf("%d processes still live in the rig's namespaces", living(ids))
				}
				time.Sleep(50 * time.Millisecond)
			}
			if after := leftovers(t); after != before {
				t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
			}
			if out, code := rig(t, 3*time.Minute, "up", "--crds=none", "--", "/bin/true"); code != 0 {
				t.Errorf("the next start: exit code %d: %s", code, out)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is still there after the next start: %v", dir, err)
			}
		})
	}
}

// awaitUp reads until the script says UP, and keeps on reading so that nobody blocks.
func awaitUp(t *testing.T, reader io.Reader) string {
	t.Helper()
	found := make(chan string, 1)
	var seen bytes.Buffer
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			seen.Write(buffer[:n])
			if match := regexp.MustCompile(`UP (\S+)\n`).FindStringSubmatch(seen.String()); match != nil {
				select {
				case found <- match[1]:
				default:
				}
			}
			if err != nil {
				close(found)
				return
			}
		}
	}()
	select {
	case dir, ok := <-found:
		if !ok {
			t.Fatalf("it ended: %s", seen.String())
		}
		return dir
	case <-time.After(3 * time.Minute):
		t.Fatal("not up within three minutes")
		return ""
	}
}

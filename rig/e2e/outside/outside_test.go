// Package outside proves the rig from without: where it refuses to start, what the suite says of it, and what a kill
// leaves behind. The tests start rigs of their own; they need root and run on the machine itself.
package outside

import (
	"bytes"
	"context"
	"fmt"
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

// patience bounds a broken run; a machine that is busy with other work must not fail a test.
const patience = 10 * time.Minute

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

func rig(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	out, code := rig(t, "up", "--crds=experimental", "--", "/bin/sh", "-c", `echo dir=$RIG_DIR
		kubectl get customresourcedefinitions -o custom-columns=:.metadata.name,:.metadata.annotations.'gateway\.networking\.k8s\.io/channel'
		exit 42`)
	if code != 42 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if !regexp.MustCompile(`xmeshes\.gateway\.networking\.x-k8s\.io +experimental\n`).MatchString(out) || strings.Contains(out, " standard\n") {
		t.Errorf("not the experimental channel: %s", out)
	}
	dir := regexp.MustCompile(`dir=(\S+)`).FindStringSubmatch(out)
	if dir == nil {
		t.Fatal(out)
	}
	if _, err := os.Stat(dir[1]); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir[1], err)
	}
	nothingNew(t, before)
}

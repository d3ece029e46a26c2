package outside

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const onePod = `kubectl wait --for=create serviceaccount/default --timeout=300s >/dev/null
kubectl run echo --image=example.com/gateway-api/echo-basic:1 >/dev/null
kubectl wait --for=condition=Ready pod/echo --timeout=300s
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

			ids := map[string]bool{}
			family := descendants(cmd.Process.Pid)
			for _, pid := range family[1:] {
				for _, id := range namespacesOf(strconv.Itoa(pid)) {
					ids[id] = true
				}
			}
			for _, id := range namespacesOf("self") {
				delete(ids, id)
			}
			inside := members(ids)
			// Init, harness, etcd, API server, controller manager, shell, sleep and the pod at least; the pod alone has three namespaces.
			if len(inside) < 8 || len(ids) < 6 {
				t.Fatalf("only %d processes and %d namespaces before the kill", len(inside), len(ids))
			}
			victim := cmd.Process.Pid
			if who == "the harness inside" {
				victim = descendants(family[1])[1]
			}
			if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-done
			for deadline := time.Now().Add(patience); len(living(inside)) > 0; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("processes that still live (number and start): %v", living(inside))
				}
			}
			nothingNew(t, before)
			if out, code := rig(t, "up", "--crds=none", "--", "/bin/true"); code != 0 {
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
	case <-time.After(patience):
		t.Fatalf("not up within %s", patience)
		return ""
	}
}

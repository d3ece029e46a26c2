package outside

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// leftovers is what a run could leave in the machine's own mounts and named namespaces.
func leftovers(t *testing.T) map[string]bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, "rig") || strings.HasPrefix(line, "nsfs") {
			out[line] = true
		}
	}
	named, _ := filepath.Glob("/run/netns/*")
	for _, name := range named {
		out[name] = true
	}
	return out
}

// nothingNew waits until there are no leftovers but those of before. What others on the machine make and take away
// meanwhile does not stay.
func nothingNew(t *testing.T, before map[string]bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		var fresh []string
		for line := range leftovers(t) {
			if !before[line] {
				fresh = append(fresh, line)
			}
		}
		if len(fresh) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind:\n%s", strings.Join(fresh, "\n"))
			return
		}
	}
}

// namespacesOf gives a process's own namespaces.
func namespacesOf(pid string) []string {
	var out []string
	for _, kind := range []string{"net", "mnt", "pid"} {
		if id, err := os.Readlink("/proc/" + pid + "/ns/" + kind); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// members are the processes in any of these namespaces. Each is named by number and start, since the kernel gives the
// numbers of processes and of namespaces again.
func members(ids map[string]bool) map[string]bool {
	out := map[string]bool{}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		pid := filepath.Base(entry)
		for _, id := range namespacesOf(pid) {
			if ids[id] {
				out[pid+" "+started(pid)] = true
				break
			}
		}
	}
	return out
}

// started is when a process began, in the kernel's ticks; nothing where there is no such process.
func started(pid string) string {
	raw, _ := os.ReadFile("/proc/" + pid + "/stat")
	// The name, in brackets, may hold anything; the start is the 20th field after it.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// living are those of these processes that still live.
func living(processes map[string]bool) []string {
	var out []string
	for process := range processes {
		if pid, start, _ := strings.Cut(process, " "); start != "" && started(pid) == start {
			out = append(out, process)
		}
	}
	return out
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

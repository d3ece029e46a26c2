// Package network makes the rig's own network and proves that nothing can leave it.
//
// The proof is read from the kernel's tables, never by sending a probe: a probe that shows a hole has already used it.
package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses of the rig. They exist only inside its namespace; outside, the same numbers would follow the default route.
const (
	// NodeIP is the address of the bridge: API server, kubelet port, and the way pods reach programs that run beside them.
	NodeIP = "10.77.0.1"
	// PodCIDR holds the pods; the bridge's own address is in it.
	PodCIDR = "10.77.0.0/16"
	// GatewayCIDR is wholly local: any program of the rig may bind any address of it, low ports included.
	GatewayCIDR = "10.80.0.0/16"
	// ServiceCIDR is what the API server hands out. Nothing answers there: the rig runs no kube-proxy.
	ServiceCIDR = "10.96.0.0/16"
	// UnusableAddress is bound by nobody and local to nobody, for the suite's test of addresses that cannot be used.
	UnusableAddress = "10.81.0.1"
)

// routes lists every route of every table.
func routes() ([]netlink.Route, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	return netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE)
}

// leaves tells whether traffic can take this route out of any namespace but its own: a default route that is not a refusal.
func leaves(route netlink.Route) bool {
	if route.Type == unix.RTN_UNREACHABLE || route.Type == unix.RTN_BLACKHOLE || route.Type == unix.RTN_PROHIBIT {
		return false // the kernel keeps "unreachable default" for IPv6 in every namespace
	}
	if route.Dst == nil {
		return true
	}
	ones, _ := route.Dst.Mask.Size()
	// 0.0.0.0/1 with 128.0.0.0/1 is the usual disguise of a default route. ff00::/8 is multicast on each link.
	return ones <= 1
}

// CheckIsolated fails when this namespace has a default route, in any table, of IPv4 or IPv6.
func CheckIsolated() error {
	all, err := routes()
	if err != nil {
		return fmt.Errorf("reading the route table: %w", err)
	}
	var out []string
	for _, route := range all {
		if leaves(route) {
			out = append(out, Describe(route))
		}
	}
	if len(out) > 0 {
		return fmt.Errorf("this network namespace has a default route (%s): the rig refuses to run here, since pod addresses would leave the machine; start it with `rig up`, which makes a namespace without one", strings.Join(out, "; "))
	}
	return nil
}

// CheckEmpty fails when the namespace has any link but lo: then it is somebody else's, and not the rig's to change.
func CheckEmpty() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}
	for _, link := range links {
		if link.Attrs().Flags&net.FlagLoopback == 0 {
			return fmt.Errorf("this network namespace has the link %q: the rig starts only in a namespace that it made itself", link.Attrs().Name)
		}
	}
	return nil
}

// Describe writes one route in a line, for people.
func Describe(route netlink.Route) string {
	to := "default"
	if route.Dst != nil {
		to = route.Dst.String()
	}
	if route.Gw != nil {
		to += " via " + route.Gw.String()
	}
	if link, err := netlink.LinkByIndex(route.LinkIndex); err == nil {
		to += " dev " + link.Attrs().Name
	}
	return to
}

// Table is the route table as text: the proof that goes into the log.
func Table() (string, error) {
	all, err := routes()
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, route := range all {
		if route.Table == unix.RT_TABLE_LOCAL && route.Type != unix.RTN_LOCAL {
			continue // broadcast and multicast
		}
		kind := ""
		if route.Type != unix.RTN_UNICAST {
			kind = map[int]string{unix.RTN_LOCAL: "local ", unix.RTN_UNREACHABLE: "unreachable "}[route.Type]
		}
		fmt.Fprintf(&lines, "%s%s\n", kind, Describe(route))
	}
	return lines.String(), nil
}

// Same tells whether both paths name one namespace, as /proc/<pid>/ns/net does.
func Same(a, b string) (bool, error) {
	left, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	right, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(left, right), nil
}

var errExhausted = errors.New("no pod address is free")

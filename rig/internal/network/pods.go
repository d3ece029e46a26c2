package network

import (
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const bridgeName = "rig0"

// Net is the rig's network: a bridge without any way out, and one namespace for each pod on it.
type Net struct {
	mu     sync.Mutex
	bridge netlink.Link
	next   uint32
	used   map[uint32]bool
}

// Pod is the network of one pod. Its namespace has no name and no mount: it ends with its last process and this handle.
type Pod struct {
	net    *Net
	number uint32
	handle netns.NsHandle
	// IP is the pod's address.
	IP net.IP
}

// Make brings up lo and the bridge. The caller has made sure that the namespace is empty and isolated.
func Make() (*Net, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, fmt.Errorf("lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return nil, fmt.Errorf("lo up: %w", err)
	}
	_, gateways, err := net.ParseCIDR(GatewayCIDR)
	if err != nil {
		return nil, err
	}
	local := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: gateways, Type: 2 /* RTN_LOCAL */, Table: 255, Scope: netlink.SCOPE_HOST}
	if err := netlink.RouteAdd(local); err != nil {
		return nil, fmt.Errorf("local route for %s: %w", GatewayCIDR, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	addr, err := netlink.ParseAddr(NodeIP + "/16")
	if err != nil {
		return nil, err
	}
	if err := netlink.AddrAdd(bridge, addr); err != nil {
		return nil, fmt.Errorf("bridge address: %w", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("bridge up: %w", err)
	}
	return &Net{bridge: bridge, next: 1 << 8, used: map[uint32]bool{}}, nil
}

// claim gives the next number, going round, so that an address just freed is not taken again at once.
func (n *Net) claim() (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 1 << 16 {
		number := n.next
		n.next++
		if n.next >= 0xfe00 {
			n.next = 1 << 8 // 10.77.1.0; below stands the bridge
		}
		if low := number & 0xff; low == 0 || low == 0xff || n.used[number] {
			continue
		}
		n.used[number] = true
		return number, nil
	}
	return 0, errExhausted
}

func (n *Net) free(number uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.used, number)
}

// NewPod makes a namespace with eth0 on the bridge.
func (n *Net) NewPod() (*Pod, error) {
	number, err := n.claim()
	if err != nil {
		return nil, err
	}
	pod := &Pod{net: n, number: number, handle: -1, IP: net.IPv4(10, 77, byte(number>>8), byte(number)).To4()}
	if err := pod.build(); err != nil {
		pod.Close()
		return nil, fmt.Errorf("network of pod %s: %w", pod.IP, err)
	}
	return pod, nil
}

// inside runs work on a thread of the given namespace. Where the thread cannot return, it ends with the goroutine.
func inside(enter func() error, work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := enter(); err != nil {
			done <- err
			return
		}
		err = work()
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func (p *Pod) build() error {
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	return inside(func() error {
		handle, err := netns.New()
		p.handle = handle
		return err
	}, func() error {
		host, err := netlink.NewHandleAt(home)
		if err != nil {
			return err
		}
		defer host.Close()
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("pod%d", p.number)
		attrs.MasterIndex = p.net.bridge.Attrs().Index
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(p.handle))}
		if err := host.LinkAdd(veth); err != nil {
			return fmt.Errorf("veth: %w", err)
		}
		if err := host.LinkSetUp(veth); err != nil {
			return fmt.Errorf("veth up: %w", err)
		}
		return configure(p.IP)
	})
}

// configure runs inside the pod's namespace. The pod reaches the other pods, the node and the gateways; nothing else.
func configure(ip net.IP) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	eth, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(eth, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(16, 32)}}); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(eth); err != nil {
		return err
	}
	_, gateways, err := net.ParseCIDR(GatewayCIDR)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Dst: gateways, Gw: net.ParseIP(NodeIP)})
}

// Start starts the command inside the pod's namespace: a child takes the namespace of the thread that makes it.
func (p *Pod) Start(cmd *exec.Cmd) error {
	return inside(func() error { return netns.Set(p.handle) }, cmd.Start)
}

// Close takes the pod's link away and lets go of its namespace.
func (p *Pod) Close() {
	if link, err := netlink.LinkByName(fmt.Sprintf("pod%d", p.number)); err == nil {
		_ = netlink.LinkDel(link) // goes with the namespace anyway, only later
	}
	if p.handle.IsOpen() {
		_ = p.handle.Close()
	}
	p.net.free(p.number)
}

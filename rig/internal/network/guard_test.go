package network

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestRoutesThatLeave(t *testing.T) {
	route := func(to string, kind int) netlink.Route {
		if to == "" {
			return netlink.Route{Type: kind}
		}
		_, dst, err := net.ParseCIDR(to)
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Route{Dst: dst, Type: kind}
	}
	for _, c := range []struct {
		to   string
		kind int
		want bool
	}{
		{"", unix.RTN_UNICAST, true}, {"0.0.0.0/0", unix.RTN_UNICAST, true}, {"::/0", unix.RTN_UNICAST, true},
		{"128.0.0.0/1", unix.RTN_UNICAST, true}, {"8000::/1", unix.RTN_UNICAST, true},
		{"::/0", unix.RTN_UNREACHABLE, false}, {"0.0.0.0/0", unix.RTN_BLACKHOLE, false},
		{"10.77.0.0/16", unix.RTN_UNICAST, false}, {"fe80::/64", unix.RTN_UNICAST, false}, {"127.0.0.0/8", unix.RTN_LOCAL, false},
	} {
		if got := leaves(route(c.to, c.kind)); got != c.want {
			t.Errorf("%q of type %d leaves: %v", c.to, c.kind, got)
		}
	}
}

func TestAddressesAreNotGivenAgainAtOnce(t *testing.T) {
	n := &Net{next: 1 << 8, used: map[uint32]bool{}}
	seen := map[uint32]bool{}
	for range 1000 {
		number, err := n.claim()
		if err != nil {
			t.Fatal(err)
		}
		if low := number & 0xff; low == 0 || low == 0xff || seen[number] {
			t.Fatalf("%x", number)
		}
		seen[number] = true
		n.free(number)
	}
}

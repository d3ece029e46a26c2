package balancer

import (
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"
)

// patience bounds what a Pod may take to take a connection.
const patience = 2 * time.Second

// idle is how long nothing may come back to a client that sends datagrams before its Pod is chosen anew.
const idle = 30 * time.Second

// open listens at "TCP address:port" or "UDP address:port".
func open(key string) (*front, error) {
	protocol, at, _ := strings.Cut(key, " ")
	f := &front{}
	if protocol == "UDP" {
		socket, err := net.ListenPacket("udp", at)
		if err != nil {
			return nil, err
		}
		f.close = func() { _ = socket.Close() }
		go f.datagrams(socket)
		return f, nil
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return nil, err
	}
	f.close = func() { _ = listener.Close() }
	go func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				log.Printf("balancer: %s: %v", at, err)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			go f.connection(client)
		}
	}()
	return f, nil
}

// chosen gives the Pods in any order.
func (f *front) chosen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, len(f.backends))
	for to, from := range rand.Perm(len(f.backends)) {
		out[to] = f.backends[from]
	}
	return out
}

// connection hands a connection to the first Pod that takes it; an end that closes one direction closes it at the other.
func (f *front) connection(client net.Conn) {
	defer client.Close()
	for _, at := range f.chosen() {
		pod, err := net.DialTimeout("tcp", at, patience)
		if err != nil {
			continue
		}
		defer pod.Close()
		done := make(chan struct{}, 2)
		pass := func(to, from net.Conn) {
			_, err := io.Copy(to, from)
			if tcp, ok := to.(*net.TCPConn); ok && err == nil {
				_ = tcp.CloseWrite()
			} else {
				// It broke off: so it does for the other one.
				_ = to.Close()
			}
			done <- struct{}{}
		}
		go pass(pod, client)
		go pass(client, pod)
		<-done
		<-done
		return
	}
}

// datagrams hands on what comes from each client to one Pod, as long as that one is there.
func (f *front) datagrams(socket net.PacketConn) {
	type session struct {
		pod net.Conn
		at  string
	}
	sessions := map[string]session{}
	buffer := make([]byte, 65536)
	for {
		length, client, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			for _, known := range sessions {
				_ = known.pod.Close()
			}
			return
		} else if err != nil {
			continue // a Pod that refused a datagram says so here
		}
		pods := f.chosen()
		known, found := sessions[client.String()]
		if found && !slices.Contains(pods, known.at) {
			_ = known.pod.Close()
			found = false
		}
		for attempt := 0; attempt < 2; attempt++ {
			if !found {
				if len(pods) == 0 {
					break
				}
				pod, err := net.Dial("udp", pods[0])
				if err != nil {
					break
				}
				known = session{pod: pod, at: pods[0]}
				sessions[client.String()] = known
				go answers(socket, client, pod)
			}
			if _, err := known.pod.Write(buffer[:length]); err == nil {
				break
			}
			_ = known.pod.Close()
			found = false
		}
	}
}

// answers hands on what a Pod sends back, until nothing comes for a while.
func answers(socket net.PacketConn, client net.Addr, pod net.Conn) {
	defer pod.Close()
	buffer := make([]byte, 65536)
	for {
		_ = pod.SetReadDeadline(time.Now().Add(idle))
		length, err := pod.Read(buffer)
		if err != nil {
			return
		}
		_, _ = socket.WriteTo(buffer[:length], client)
	}
}

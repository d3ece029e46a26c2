package balancer

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo answers connections and datagrams with what comes, after its name.
func echo(t *testing.T, name string) (tcp, udp string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = listener.Close(), socket.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				said, _ := io.ReadAll(client) // until the client has said all
				_, _ = client.Write(append([]byte(name), said...))
			}()
		}
	}()
	go func() {
		buffer := make([]byte, 100)
		for {
			length, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(append([]byte(name), buffer[:length]...), from)
		}
	}()
	return listener.Addr().String(), socket.LocalAddr().String()
}

func free(t *testing.T, protocol string) string {
	t.Helper()
	if protocol == "UDP" {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		return socket.LocalAddr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAConnectionGoesToAPodThatTakesItAndEndsWhereEitherSideEnds(t *testing.T) {
	pod, _ := echo(t, "one ")
	at := free(t, "TCP")
	f, err := open("TCP " + at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	// One that is gone is passed over.
	f.backends = []string{free(t, "TCP"), pod}
	client, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(client)
	if err != nil || string(said) != "one hello" {
		t.Fatalf("%q, %v", said, err)
	}
}

func TestDatagramsOfAClientGoToOnePodUntilItIsGone(t *testing.T) {
	_, one := echo(t, "one ")
	_, two := echo(t, "two ")
	at := free(t, "UDP")
	f, err := open("UDP " + at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	client, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func() string {
		buffer := make([]byte, 100)
		for range 50 {
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
			if length, err := client.Read(buffer); err == nil {
				return string(buffer[:length])
			}
		}
		return "nothing"
	}
	put := func(backends ...string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.backends = backends
	}
	put(one)
	if said := ask(); said != "one x" {
		t.Fatal(said)
	}
	put(one, two)
	for range 20 {
		if said := ask(); said != "one x" {
			t.Fatal(said)
		}
	}
	put(two)
	if said := ask(); said != "two x" {
		t.Fatal(said)
	}
}

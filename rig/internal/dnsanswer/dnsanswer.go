// Package dnsanswer stands in for the DNS server image of the suite. The suite's own configuration forwards to public
// resolvers, which must not run in a closed rig; what its tests look at is only that a well-formed answer comes back.
package dnsanswer

import (
	"fmt"
	"net"
	"os"

	"github.com/miekg/dns"
)

// answer is the address given for every name. It is of the range reserved for documentation and is never dialled.
const answer = "203.0.113.53"

// Reply answers A with one fixed address, everything else with no data.
func Reply(request *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(request)
	reply.Authoritative = true
	for _, question := range request.Question {
		if question.Qtype == dns.TypeA {
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30}
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: net.ParseIP(answer)})
		}
	}
	return reply
}

// Serve answers on port 53, UDP and TCP, until one of them fails.
func Serve() error {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, request *dns.Msg) {
		if err := w.WriteMsg(Reply(request)); err != nil {
			fmt.Fprintln(os.Stderr, "answering:", err)
		}
	})
	failed := make(chan error, 2)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: ":53", Net: network, Handler: handler}
		go func() { failed <- server.ListenAndServe() }()
	}
	fmt.Println("answering DNS on port 53")
	return <-failed
}

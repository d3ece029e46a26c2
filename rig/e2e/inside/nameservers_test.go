package inside

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	zoneName = "rig.example."
	zoneFile = "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 10.80.9.1\nhost 60 A 10.80.9.2\n"
	keyName  = "rig."
	// keySecret is no secret: it lives in one namespace for the length of one test.
	keySecret = "cmlnLXJpZy1yaWctcmlnLXJpZy1yaWctcmlnLXJpZw=="
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bind starts BIND with the zone; updates need the key.
func bind(t *testing.T, address string) *daemon {
	dir := t.TempDir()
	file := write(t, dir, "zone", zoneFile)
	port := address[strings.LastIndexByte(address, ':')+1:]
	config := write(t, dir, "named.conf", fmt.Sprintf(`
options {
  directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; };
  pid-file none; lock-file none; session-keyfile none; recursion no; dnssec-validation no;
};
controls { };
key "rig" { algorithm hmac-sha256; secret %q; };
zone "rig.example" { type primary; file %q; update-policy { grant rig zonesub ANY; }; };
`, dir, port, keySecret, file))
	return server(t, exec.Command(peer(t, "named", true), "-g", "-c", config))
}

// knot starts Knot with the zone; updates need the key.
func knot(t *testing.T, address string) *daemon {
	dir := t.TempDir()
	write(t, dir, "zone", zoneFile)
	config := write(t, dir, "knot.conf", fmt.Sprintf(`
server:
    rundir: %[1]q
    listen: %[2]q
database:
    storage: %[1]q
log:
  - target: stderr
    any: info
key:
  - id: rig
    algorithm: hmac-sha256
    secret: %[3]q
acl:
  - id: update
    action: update
    key: rig
zone:
  - domain: rig.example
    storage: %[1]q
    file: zone
    acl: update
`, dir, strings.Replace(address, ":", "@", 1), keySecret))
	return server(t, exec.Command(peer(t, "knotd", true), "--config", config))
}

// powerDNS starts PowerDNS with an empty database and makes the zone through its API; updates need the key.
func powerDNS(t *testing.T, address string) *daemon {
	program := peer(t, "pdns_server", true)
	dir := t.TempDir()
	host, port, _ := strings.Cut(address, ":")
	settings := []string{
		"launch=lmdb", "lmdb-filename=" + filepath.Join(dir, "lmdb"), "socket-dir=" + dir, "guardian=no", "daemon=no",
		"local-address=" + host, "local-port=" + port, "security-poll-suffix=", "dnsupdate=yes", "allow-dnsupdate-from=127.0.0.0/8",
		"api=yes", "api-key=rig", "webserver=yes", "webserver-address=" + host, "webserver-port=8081",
	}
	real, err := filepath.EvalSymlinks(program)
	if err != nil {
		t.Fatal(err)
	}
	// Unpacked, not installed (scripts/debian): its modules are beside it.
	if modules, _ := filepath.Glob(filepath.Join(filepath.Dir(real), "../usr/lib/*/pdns")); len(modules) > 0 {
		settings = append(settings, "module-dir="+modules[0])
	}
	write(t, dir, "pdns.conf", strings.Join(settings, "\n")+"\n")
	d := server(t, exec.Command(program, "--config-dir="+dir))

	eventually(t, patience, "its API", func() (bool, error) {
		status, _ := powerDNSAPI(t, http.MethodGet, "/api/v1/servers/localhost", nil)
		return status == http.StatusOK, d.ended()
	})
	rrset := func(name, kind, content string) map[string]any {
		return map[string]any{"name": name, "type": kind, "ttl": 60, "changetype": "REPLACE", "records": []any{map[string]any{"content": content, "disabled": false}}}
	}
	for _, step := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, "/zones", map[string]any{"name": zoneName, "kind": "Native", "nameservers": []string{"ns." + zoneName}}},
		{http.MethodPatch, "/zones/" + zoneName, map[string]any{"rrsets": []any{rrset("host."+zoneName, "A", "10.80.9.2")}}},
		{http.MethodPost, "/tsigkeys", map[string]any{"name": "rig", "algorithm": "hmac-sha256", "key": keySecret}},
		{http.MethodPost, "/zones/" + zoneName + "/metadata", map[string]any{"kind": "TSIG-ALLOW-DNSUPDATE", "metadata": []string{"rig"}}},
	} {
		if status, answer := powerDNSAPI(t, step.method, "/api/v1/servers/localhost"+step.path, step.body); status >= 300 {
			t.Fatalf("%s %s: %d %s", step.method, step.path, status, answer)
		}
	}
	return d
}

func powerDNSAPI(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8081"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "rig")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}

// lookUp gives the addresses of a name, or the code of the refusal.
func lookUp(address, name string) string {
	answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), address)
	switch {
	case err != nil:
		return err.Error()
	case answer.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[answer.Rcode]
	case !answer.Authoritative:
		return "not authoritative"
	}
	var out []string
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			out = append(out, a.A.String())
		}
	}
	return strings.Join(out, " ")
}

// update adds one record by RFC 2136, signed or not.
func update(t *testing.T, address, record string, signed bool) int {
	t.Helper()
	added, err := dns.NewRR(record)
	if err != nil {
		t.Fatal(err)
	}
	message := new(dns.Msg).SetUpdate(zoneName)
	message.Insert([]dns.RR{added})
	client := &dns.Client{Net: "tcp", Timeout: 30 * time.Second}
	if signed {
		client.TsigSecret = map[string]string{keyName: keySecret}
		message.SetTsig(keyName, dns.HmacSHA256, 300, time.Now().Unix())
	}
	answer, _, err := client.Exchange(message, address)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Rcode
}

func TestNameServersServeAndTakeUpdates(t *testing.T) {
	for name, of := range map[string]struct {
		address string
		start   func(*testing.T, string) *daemon
	}{
		"BIND": {"127.0.0.1:5301", bind}, "Knot": {"127.0.0.1:5302", knot}, "PowerDNS": {"127.0.0.1:5303", powerDNS},
	} {
		t.Run(name, func(t *testing.T) {
			d := of.start(t, of.address)
			eventually(t, patience, "the zone", func() (bool, error) { return lookUp(of.address, "host."+zoneName) == "10.80.9.2", d.ended() })
			if code := update(t, of.address, "new."+zoneName+" 60 A 10.80.9.3", false); code == dns.RcodeSuccess {
				t.Error("an update without a key was taken")
			}
			if answer := lookUp(of.address, "new."+zoneName); answer != "NXDOMAIN" {
				t.Errorf("before the update: %s", answer)
			}
			// PowerDNS remembers for a while that a name is not there, so another one is added.
			if code := update(t, of.address, "more."+zoneName+" 60 A 10.80.9.4", true); code != dns.RcodeSuccess {
				t.Fatalf("a signed update: %s", dns.RcodeToString[code])
			}
			eventually(t, patience, "the new name", func() (bool, error) { return lookUp(of.address, "more."+zoneName) == "10.80.9.4", nil })
		})
	}
}

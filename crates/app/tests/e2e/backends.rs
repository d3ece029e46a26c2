//! What backends and clients see through the real Envoy: cases 06 and 08 of Gateway API's meaning, and that only loopback
//! is dialled. Backends are small servers of the test on free ports of loopback.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::instance::{Instance, envoy};

/// A backend that notes each request as it came and answers with it. `?delay=MS` in the path makes it wait.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
}

/// First line and headers of a request or an answer, names in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn read(stream: &mut impl std::io::BufRead) -> Option<Self> {
        let mut lines = stream.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let first = lines.next()?;
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Some(Self { first, headers: headers.collect() })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    fn internal(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| &**name).filter(|name| name.starts_with("x-envoy-")).collect()
    }
}

impl Backend {
    fn at(address: IpAddr) -> Option<Self> {
        let listener = TcpListener::bind((address, 0)).ok()?;
        let made = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = Arc::clone(&made.seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || Self::serve(&stream, &seen));
            }
        });
        Some(made)
    }

    pub(super) fn loopback() -> Self {
        Self::at(IpAddr::from([127, 0, 0, 1])).unwrap()
    }

    fn serve(stream: &TcpStream, seen: &Mutex<Vec<Head>>) {
        let mut reader = BufReader::new(stream);
        while let Some(head) = Head::read(&mut reader) {
            let delay = head.first.split("delay=").nth(1).and_then(|rest| rest.split([' ', '&']).next());
            if let Some(ms) = delay.and_then(|ms| ms.parse().ok()) {
                std::thread::sleep(Duration::from_millis(ms));
            }
            seen.lock().unwrap().push(head);
            let answer = "HTTP/1.1 200 OK\r\nserver: the-backend\r\nx-envoy-upstream-canary: true\r\nx-envoy-upstream-service-time: 3\r\nx-backend: yes\r\ncontent-length: 7\r\n\r\nbackend";
            let mut stream = stream;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// What came, without the probes of Portolan.
    fn seen(&self) -> Vec<Head> {
        let seen: MutexGuard<'_, Vec<Head>> = self.seen.lock().unwrap();
        seen.iter().filter(|head| head.get("user-agent") != Some("portolan-probe")).cloned().collect()
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: Head,
    pub(super) body: String,
}

/// Sends a request as it is written.
pub(super) fn ask(entry: &Value, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let address =
        (entry["address"].as_str().unwrap(), u16::try_from(entry["port"].as_u64().unwrap()).unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    write!(request, "\r\n").unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader).unwrap();
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    let status = head.first.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body }
}

/// A Gateway with one HTTP listener, and whatever else is written.
pub(super) fn folder(more: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let base = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: edge}\nspec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: gw}\nspec:\n  gatewayClassName: edge\n  listeners: [{name: web, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]\n";
    std::fs::write(dir.path().join("base.yaml"), format!("{base}{more}")).unwrap();
    dir
}

pub(super) fn service(name: &str, ports: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: team}}\nspec: {{ports: {ports}{more}}}\n"
    )
}

pub(super) fn slice(service: &str, ports: &str, endpoints: &str, family: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}-1, namespace: team, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: {family}\nports: {ports}\nendpoints: {endpoints}\n"
    )
}

/// A Service `name` whose port 80 goes to a backend.
pub(super) fn real(name: &str, backend: &Backend) -> String {
    let (port, address) = (backend.address.port(), backend.address.ip());
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let ports = format!("[{{name: http, port: {port}, protocol: TCP}}]");
    let endpoints = format!("[{{addresses: ['{address}']}}]");
    service(name, "[{name: http, port: 80}]", "") + &slice(name, &ports, &endpoints, family)
}

/// An HTTPRoute `name` for the host `name`.lab.test.
pub(super) fn route(name: &str, rules: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team}}\nspec:\n  parentRefs: [{{name: front, namespace: gw}}]\n  hostnames: [{name}.lab.test]\n  rules: {rules}\n"
    )
}

pub(super) fn to(service: &str, port: u16) -> String {
    format!("[{{backendRefs: [{{name: {service}, port: {port}}}]}}]")
}

fn findings(instance: &Instance, code: &str) -> Vec<Value> {
    let status = instance.status();
    status["findings"].as_array().unwrap().iter().filter(|f| f["code"] == code).cloned().collect()
}

/// Case gateway/06-endpoints-and-timeouts, endpoints.
#[test]
fn requests_go_to_endpoints_as_kubernetes_means_them() {
    let Some(envoy) = envoy("e2e endpoints") else { return };
    let backend = Backend::loopback();
    let port = backend.address.port();
    let http = format!("[{{name: http, port: {port}, protocol: TCP}}]");
    let at = |conditions: &str| format!("[{{addresses: [127.0.0.1], conditions: {{{conditions}}}}}]");
    let draining = at("ready: false, serving: true, terminating: true");
    let twins = format!("[{{name: quic, port: 9, protocol: UDP}}, {{name: https, port: {port}}}]");
    let listed = |name: &str, endpoints: &str| {
        service(name, "[{name: http, port: 80}]", "")
            + &slice(name, &http, endpoints, "IPv4")
            + &route(name, &to(name, 80))
    };
    let legacy = format!(
        "---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: legacy, namespace: team}}\nsubsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {port}}}]}}]\n"
    );
    let mut text = real("real", &backend)
        + &route("real", &to("real", 80))
        + &listed("notready", &at("ready: false"))
        + &listed("empty", "[]")
        + &listed("term", &draining)
        + &service("mismatch", "[{name: web, port: 80}]", "")
        + &slice("mismatch", &http, "[{addresses: [127.0.0.1]}]", "IPv4")
        + &route("mismatch", &to("mismatch", 80))
        + &service("both", "[{name: quic, port: 443, protocol: UDP}, {name: https, port: 443}]", "")
        + &slice("both", &twins, "[{addresses: [127.0.0.1]}]", "IPv4")
        + &route("both", &to("both", 443))
        + &service("udp", "[{name: dns, port: 53, protocol: UDP}]", "")
        + &route("udp", &to("udp", 53))
        + &service("ext", "[{port: 80}]", ", type: ExternalName, externalName: example.com")
        + &route("ext", &to("ext", 80))
        + &service("legacy", "[{port: 80}]", "")
        + &legacy
        + &route("legacy", &to("legacy", 80))
        + &service("aphttps", "[{name: http, port: 443, appProtocol: https}]", "")
        + &slice("aphttps", &http, "[{addresses: [127.0.0.1]}]", "IPv4")
        + &route("aphttps", &to("aphttps", 443))
        + &service("one", "[{name: http, port: 80}]", "")
        + &route("one", &to("one", 80));
    let six = Backend::at(IpAddr::from(Ipv6Addr::LOCALHOST));
    if let Some(six) = &six {
        text += &(real("six", six) + &route("six", &to("six", 80)));
    }
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("real.lab.test", "live");
    instance.reach("one.lab.test", "live");
    let get = |name: &str| {
        let answer = ask(&entry, &format!("{name}.lab.test"), "/", &[]);
        (answer.status, answer.body)
    };
    for name in ["real", "term", "both", "legacy"].into_iter().chain(six.is_some().then_some("six")) {
        assert_eq!(get(name), (200, "backend".to_owned()), "{name}");
    }
    for name in ["notready", "empty", "mismatch"] {
        assert_eq!(get(name).0, 503, "{name}");
        let named = findings(&instance, "PTL-0241");
        assert!(named.iter().any(|f| f["object"] == format!("Service/team/{name}")), "{name}: {named:?}");
    }
    for (name, code) in [("udp", "PTL-0244"), ("ext", "PTL-0243"), ("aphttps", "PTL-0244")] {
        assert_eq!(get(name).0, 500, "{name}");
        let named = findings(&instance, code);
        assert!(named.iter().any(|f| f["object"] == format!("HTTPRoute/team/{name}")), "{name}: {named:?}");
        instance.reach(&format!("{name}.lab.test"), "refused");
    }
    let (status, body) = get("one");
    assert!(status == 200 && body.contains("\"service\": \"team/one\""), "{body}");
}

/// Case gateway/06-endpoints-and-timeouts, timeouts: nothing is measured, the answer says which timeout held.
#[test]
fn the_shorter_timeout_holds_and_zero_is_none() {
    let Some(envoy) = envoy("e2e timeouts") else { return };
    let backend = Backend::loopback();
    let rule = |path: &str, timeouts: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], timeouts: {{{timeouts}}}, backendRefs: [{{name: real, port: 80}}]}}"
        )
    };
    let rules = [
        rule("/both", "request: 30s, backendRequest: 100ms"),
        rule("/request", "request: 100ms"),
        rule("/backend", "backendRequest: 100ms"),
        rule("/zero", "request: 0s"),
        rule("/off", "request: 0s, backendRequest: 100ms"),
        rule("/long", "request: 15m"),
    ];
    let text = real("real", &backend) + &route("tmo", &format!("[{}]", rules.join(", ")));
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("tmo.lab.test", "live");
    for (path, status) in
        [("/both", 504), ("/request", 504), ("/backend", 504), ("/zero", 200), ("/off", 504), ("/long", 200)]
    {
        let answer = ask(&entry, "tmo.lab.test", &format!("{path}?delay=2000"), &[]);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
}

/// Cases gateway/08-plain p1 and srv, and 06 mirror.
#[test]
fn host_and_server_are_those_of_client_and_backend() {
    let Some(envoy) = envoy("e2e headers") else { return };
    let (backend, copy) = (Backend::loopback(), Backend::loopback());
    let text = real("real", &backend)
        + &real("mir", &copy)
        + &route(
            "p1",
            "[{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: mir, port: 80}}}], backendRefs: [{name: real, port: 80}]}]",
        )
        + &route(
            "srv",
            "[{matches: [{path: {value: /rm}}], filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [server]}}], backendRefs: [{name: real, port: 80}]}, {matches: [{path: {value: /set}}], filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: Server, value: hidden}]}}], backendRefs: [{name: real, port: 80}]}, {backendRefs: [{name: real, port: 80}]}]",
        )
        + &route(
            "rw",
            "[{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}], timeouts: {request: 30s}, backendRefs: [{name: real, port: 80}]}]",
        );
    let instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("p1.lab.test", "live");
    instance.reach("srv.lab.test", "live");
    instance.reach("rw.lab.test", "live");

    for host in ["p1.lab.test", "p1.lab.test:8080", "P1.Lab.Test:80"] {
        let answer = ask(&entry, host, "/host", &[]);
        assert_eq!(answer.status, 200, "{host}");
        assert_eq!(backend.seen().last().unwrap().get("host"), Some(host), "as it came");
        instance.wait("the mirrored request", || {
            copy.seen().iter().any(|head| head.get("host") == Some(host)).then_some(())
        });
    }
    assert!(copy.seen().iter().all(|head| !head.get("host").unwrap().contains("shadow")));

    let server = |path: &str| ask(&entry, "srv.lab.test", path, &[]).head.get("server").map(str::to_owned);
    assert_eq!(server("/rm"), None);
    assert_eq!(server("/set").as_deref(), Some("hidden"));
    assert_eq!(server("/").as_deref(), Some("the-backend"));

    // What a client says under Envoy's own names is neither believed nor handed on, and nothing of them goes out.
    let lies = [
        ("x-envoy-upstream-rq-timeout-ms", "50"),
        ("X-Envoy-Retry-On", "5xx"),
        ("x-envoy-original-path", "/evil"),
        ("x-envoy-external-address", "192.0.2.1"),
        ("x-envoy-internal", "true"),
        ("x-envoy-attempt-count", "9"),
        ("x-envoy-anything", "x"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ];
    let answer = ask(&entry, "rw.lab.test", "/old?delay=500", &lies);
    assert_eq!(answer.status, 200, "the client's timeout was believed");
    assert_eq!(answer.head.internal(), Vec::<&str>::new());
    assert_eq!(answer.head.get("x-backend"), Some("yes"));
    let seen = backend.seen().pop().unwrap();
    assert!(seen.first.starts_with("GET /new/old?delay=500 "), "{}", seen.first);
    assert_eq!(seen.internal(), Vec::<&str>::new());
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"), "not what the client says");
    let forwarded = seen.get("x-forwarded-for").unwrap();
    assert!(forwarded.starts_with("192.0.2.1,") && forwarded.len() > "192.0.2.1,".len(), "{forwarded}");
}

/// Everything that Envoy would dial, from its own dump.
fn dialled(instance: &Instance) -> Vec<IpAddr> {
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let mut stream = UnixStream::connect(run["sockets"]["envoyAdmin"].as_str().unwrap()).unwrap();
    stream
        .write_all(b"GET /config_dump?include_eds HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader).unwrap();
    assert_eq!(head.get("transfer-encoding"), Some("chunked"));
    let mut bytes = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = u64::from_str_radix(size.trim(), 16).unwrap();
        reader.by_ref().take(size).read_to_end(&mut bytes).unwrap();
        if size == 0 {
            break;
        }
        reader.read_line(&mut String::new()).unwrap();
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut found = Vec::new();
    for part in text.split("\"lb_endpoints\"").skip(1) {
        let part = part.split("\"policy\"").next().unwrap();
        let addresses = part.split("\"address\": \"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(addresses.filter_map(|address| address.parse::<IpAddr>().ok()));
    }
    found
}

/// Case repositories/07-endpointslice-is-dialled: an endpoint on loopback is used; of all others Envoy does not even know
/// the address. 192.0.2.0/24 and 2001:db8::/32 are documentation: nothing is sent there in any case.
#[test]
fn loopback_stays_loopback() {
    let Some(envoy) = envoy("e2e loopback") else { return };
    let backend = Backend::at(IpAddr::from([127, 0, 0, 99])).unwrap_or_else(Backend::loopback);
    let (own, port) = (backend.address.ip(), backend.address.port());
    let http = format!("[{{name: http, port: {port}}}]");
    let mixed = format!("[{{addresses: [192.0.2.10]}}, {{addresses: ['{own}']}}]");
    let text = real("box", &backend)
        + &route("box", &to("box", 80))
        + &service("far", "[{name: http, port: 80}]", "")
        + &slice("far", &http, "[{addresses: [192.0.2.9]}]", "IPv4")
        + &route("far", &to("far", 80))
        + &service("mixed", "[{name: http, port: 80}]", "")
        + &slice("mixed", &http, &mixed, "IPv4")
        + &route("mixed", &to("mixed", 80))
        + &service("six", "[{name: http, port: 80}]", "")
        + &slice("six", &http, "[{addresses: ['2001:db8::1']}]", "IPv6")
        + &route("six", &to("six", 80));
    let mut instance = Instance::start(folder(&text), envoy);
    let entry = instance.reach("box.lab.test", "live");
    assert_eq!(ask(&entry, "box.lab.test", "/", &[]).body, "backend");
    for (name, address) in [("far", "192.0.2.9"), ("mixed", "192.0.2.10"), ("six", "2001:db8::1")] {
        instance.reach(&format!("{name}.lab.test"), "live");
        let status = instance.status();
        let listed = status["substitutions"].as_array().unwrap();
        assert!(listed.iter().any(|s| s.as_str().unwrap().contains(address)), "{name}: {listed:?}");
        let named = findings(&instance, "PTL-0242");
        let named = named.iter().find(|f| f["object"] == format!("Service/team/{name}")).unwrap();
        assert_eq!(named["severity"], "info");
    }
    let answer = ask(&entry, "far.lab.test", "/", &[]);
    assert!(answer.body.contains("\"service\": \"team/far\""), "{}", answer.body);
    let bodies: Vec<String> = (0..20).map(|_| ask(&entry, "mixed.lab.test", "/", &[]).body).collect();
    assert!(
        bodies.iter().any(|b| b == "backend") && bodies.iter().any(|b| b.contains("standIn")),
        "{bodies:?}"
    );
    let addresses = dialled(&instance);
    assert!(addresses.contains(&own) && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");

    // With the flag they are dialled. No request is sent there: the rule is for a path that no probe asks for.
    instance.run(&["down"]);
    instance.ended();
    let only = "[{matches: [{path: {value: /never-asked}}], backendRefs: [{name: far, port: 80}]}]";
    let text = service("far", "[{name: http, port: 80}]", "")
        + &slice("far", &http, "[{addresses: [192.0.2.9]}]", "IPv4")
        + &route("far", only);
    let base = std::fs::read_to_string(folder("").path().join("base.yaml")).unwrap();
    instance.write("base.yaml", &format!("{base}{text}"));
    instance.arguments.push("--real-backends".to_owned());
    instance.up();
    instance.reach("far.lab.test", "live");
    assert!(findings(&instance, "PTL-0242").is_empty());
    assert!(!instance.status()["substitutions"].to_string().contains("192.0.2.9"));
}

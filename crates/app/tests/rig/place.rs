//! What a test has of the rig for itself: a namespace, a class, addresses, backends.

use std::{
    any::Any,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use portolan_testkit::suites;
use serde_json::Value;

/// Held for reading by every test, and for writing by one that changes what all have in common: definitions, or what other
/// controllers are there.
static CLUSTER: RwLock<()> = RwLock::new(());

/// Networks are given out once.
static NETWORKS: AtomicU8 = AtomicU8::new(1);

/// Whether this is the rig; a person's own cluster is never touched.
fn inside() -> bool {
    let inside = std::env::var_os("RIG_DIR").is_some();
    if !inside {
        suites::skip_optional("portolan run", "not inside the rig (make rig-test)");
    }
    inside
}

/// Waits until something is there; the time bounds a broken run and is no promise.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A part of the rig.
pub struct Place {
    /// Namespace, and the name of everything that there is one of.
    pub name: &'static str,
    /// Where its Gateways get addresses.
    pub network: String,
    _cluster: Box<dyn Any>,
}

impl Place {
    /// One of its own; `None` outside of the rig.
    pub fn new(name: &'static str) -> Option<Self> {
        let cluster = inside().then(|| CLUSTER.read().unwrap_or_else(PoisonError::into_inner))?;
        Some(Self::with(name, Box::new(cluster)))
    }

    /// The whole cluster: no other test runs meanwhile.
    pub fn alone(name: &'static str) -> Option<Self> {
        let cluster = inside().then(|| CLUSTER.write().unwrap_or_else(PoisonError::into_inner))?;
        Some(Self::with(name, Box::new(cluster)))
    }

    fn with(name: &'static str, cluster: Box<dyn Any>) -> Self {
        let network = format!("10.80.{}.0/24", NETWORKS.fetch_add(1, Ordering::Relaxed));
        let place = Self { name, network, _cluster: cluster };
        place.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n\
             {{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: {name}}}, spec: {{controllerName: {}}}}}\n",
            place.controller()
        ));
        place
    }

    pub fn controller(&self) -> String {
        format!("rig.portolan.dev/{}", self.name)
    }

    /// Runs kubectl in the namespace; what it says, if it is content.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new("kubectl")
            .args(["--namespace", self.name])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Applies documents as a person does. kubectl takes text that begins with a brace for JSON, so each stands under a comment.
    pub fn apply(&self, documents: &str) {
        self.kubectl(&["apply", "-f", "-"], &format!("# from a test\n{documents}")).unwrap();
    }

    /// An object as it is.
    pub fn get(&self, what: &str) -> Option<Value> {
        // Who wrote what is left out unless it is asked for.
        let args = ["get", what, "-o", "json", "--show-managed-fields"];
        serde_json::from_str(&self.kubectl(&args, "").ok()?).ok()
    }

    /// A Gateway with one listener for HTTP.
    pub fn gateway(&self) {
        self.apply(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gw}}, spec: {{gatewayClassName: {}, \
             listeners: [{{name: http, port: 80, protocol: HTTP}}]}}}}\n",
            self.name
        ));
    }

    /// A Service whose only endpoint is the backend.
    pub fn service(&self, backend: &Backend) {
        let (name, at) = (backend.name, backend.at);
        self.apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}]}}}}\n---\n\
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}, \
             addressType: IPv4, ports: [{{name: '', port: {}, protocol: TCP}}], \
             endpoints: [{{addresses: [{}], conditions: {{ready: true}}}}]}}\n",
            at.port(),
            at.ip()
        ));
    }

    /// A route of a host to a Service.
    pub fn route(&self, name: &str, host: &str, service: &str) {
        self.apply(&format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}}}, spec: {{parentRefs: [{{name: gw}}], \
             hostnames: [{host}], rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]}}}}\n"
        ));
    }

    /// The address of its Gateway, once it is programmed.
    pub fn address(&self) -> IpAddr {
        eventually("the Gateway is programmed", || {
            let gateway = self.get("gateway/gw")?;
            holds(&gateway["status"]["conditions"], "Programmed", &gateway)?;
            gateway["status"]["addresses"][0]["value"].as_str()?.parse().ok()
        })
    }
}

/// That a condition is true and about what is there now.
pub fn holds(conditions: &Value, kind: &str, object: &Value) -> Option<()> {
    let all = conditions.as_array()?;
    let found = all.iter().find(|one| one["type"] == kind)?;
    let current = found["observedGeneration"] == object["metadata"]["generation"];
    (current && found["status"] == "True").then_some(())
}

/// The entry of a controller among the parents of a route.
pub fn parent<'a>(route: &'a Value, controller: &str) -> Option<&'a Value> {
    route["status"]["parents"].as_array()?.iter().find(|entry| entry["controllerName"] == controller)
}

/// A server that answers its name to everything, at an address that is not loopback.
pub struct Backend {
    pub name: &'static str,
    pub at: SocketAddr,
}

impl Backend {
    pub fn start(name: &'static str) -> Self {
        let node: IpAddr = std::env::var("RIG_NODE_IP").unwrap().parse().unwrap();
        let listener = TcpListener::bind((node, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream, name));
            }
        });
        Self { name, at }
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    // Requests without a body, one after the other.
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.trim().is_empty() {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        line.clear();
    }
}

/// What is answered at port 80 of an address: the status and the body.
pub fn ask(address: IpAddr, host: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&(address, 80).into(), Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()))
}

/// Waits for an answer of a host.
pub fn answers(address: IpAddr, host: &str, status: u16, body: Option<&str>) {
    eventually(&format!("{host} answers {status} {body:?}"), || {
        let (is, text) = ask(address, host)?;
        (is == status && body.is_none_or(|body| text == body)).then_some(())
    });
}

/// Requests that go on and on; each that is not answered 200 is counted.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Traffic {
    pub fn start(address: IpAddr, host: &'static str) -> Self {
        let (stop, failed, done) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (stopped, fails, all) = (Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let answer = ask(address, host);
                if answer.as_ref().is_none_or(|(status, _)| *status != 200) {
                    eprintln!("a request failed: {answer:?}");
                    fails.fetch_add(1, Ordering::Relaxed);
                }
                all.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, failed, done, thread }
    }

    /// Ends it: how many failed, of how many.
    pub fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        (self.failed.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }
}

//! A real Pebble, Let's Encrypt's test server, on loopback; it ends when it is dropped.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::suites;

/// Looks of 50 ms until it listens; a loaded machine takes its time.
const LOOKS: u32 = 1200;

/// How it behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct PebbleOptions {
    /// Share of proofs that it takes from earlier orders, in per cent.
    pub reuse: u8,
    /// Longest time before it looks at a challenge, in seconds.
    pub sleep: u8,
}

/// The server. It rejects every fifth good nonce, and checks requests in its strict mode.
#[derive(Debug)]
pub struct Pebble {
    child: Child,
    /// Where it speaks ACME.
    pub address: SocketAddr,
    /// Where it tells of itself (`/roots/0`).
    pub management: SocketAddr,
    /// Certificate of its own TLS, which is its root, PEM.
    pub tls_root: String,
    folder: TempDir,
}

impl Pebble {
    /// Starts it with this name server; `None` if the program is missing.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(dns: SocketAddr, options: PebbleOptions) -> Option<Self> {
        let program = suites::program("pebble")?;
        let folder = tempfile::tempdir().expect("there is room");
        // It takes no port 0, so a port that was free may be taken when it gets there: then others are tried.
        for _ in 0..5 {
            if let Some((child, [address, management], tls_root)) =
                try_start(&program, dns, options, folder.path())
            {
                return Some(Self { child, address, management, tls_root, folder });
            }
        }
        panic!(
            "Pebble does not start:\n{}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
    }

    /// URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn try_start(
    program: &Path,
    dns: SocketAddr,
    options: PebbleOptions,
    folder: &Path,
) -> Option<(Child, [SocketAddr; 2], String)> {
    let free = || TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (acme, management, http, tls) = (free(), free(), free(), free());
    let at = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a key can be made");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("there is room");
    write("cert.pem", &made.cert.pem());
    write("key.pem", &made.signing_key.serialize_pem());
    let config = json!({ "pebble": {
        "listenAddress": at(&acme).to_string(),
        "managementListenAddress": at(&management).to_string(),
        "certificate": folder.join("cert.pem"),
        "privateKey": folder.join("key.pem"),
        "httpPort": at(&http).port(),
        "tlsPort": at(&tls).port(),
        // Two labels: a name of fewer labels than an entry makes Pebble 2.10.1 panic.
        "domainBlocklist": ["blocked.test"],
        "retryAfter": { "authz": 1, "order": 1 },
        "keyAlgorithm": "ecdsa",
    } });
    write("config.json", &config.to_string());
    let log = fs::File::create(folder.join("log")).expect("there is room");
    let addresses = [at(&acme), at(&management)];
    drop((acme, management, http, tls));
    let mut command = Command::new(program);
    if options.sleep == 0 {
        command.env("PEBBLE_VA_NOSLEEP", "1");
    } else {
        command.env("PEBBLE_VA_SLEEPTIME", options.sleep.to_string());
    }
    let mut child = command
        .args(["-strict", "-dnsserver", &dns.to_string(), "-config"])
        .arg(folder.join("config.json"))
        .env("PEBBLE_WFE_NONCEREJECT", "20")
        .env("PEBBLE_AUTHZREUSE", options.reuse.to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("it is open"))
        .stderr(log)
        .spawn()
        .expect("Pebble starts");
    for _ in 0..LOOKS {
        if addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            // Another may have taken a port meanwhile, and be who answers: then this one ends at once.
            std::thread::sleep(Duration::from_millis(200));
            let ended = child.try_wait().expect("it can be asked for").is_some();
            return (!ended).then(|| (child, addresses, made.cert.pem()));
        }
        if child.try_wait().expect("it can be asked for").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

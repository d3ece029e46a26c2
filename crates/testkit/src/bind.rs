//! A real BIND on loopback, with zones in a folder of its own; it ends when it is dropped.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::suites;

/// Tries of 50 ms until it listens; a loaded machine takes its time.
const TRIES: u32 = 1200;

/// The server.
#[derive(Debug)]
pub struct Bind {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// A zone that it holds as primary server.
#[derive(Clone, Debug)]
pub struct BindZone<'a> {
    /// Its name, without the dot at the end.
    pub name: &'a str,
    /// What its part of the configuration says besides type and file: who may change and transfer it.
    pub options: &'a str,
    /// Records besides SOA, NS (`ns`) and the address of that, in a zone file's form.
    pub records: &'a str,
}

impl Bind {
    /// Starts `named` with keys (name, algorithm, secret in Base64) and zones; `None` if the program is missing. `folder` must
    /// exist: zone files that stand there are kept, so that a second start goes on with what the first left.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(folder: &Path, keys: &[(&str, &str, &str)], zones: &[BindZone<'_>]) -> Option<Self> {
        let address = free();
        Self::start_at(address, folder, keys, zones)
    }

    /// The same at an address that was used before.
    ///
    /// # Panics
    /// As [`Bind::start`].
    pub fn start_at(
        address: SocketAddr,
        folder: &Path,
        keys: &[(&str, &str, &str)],
        zones: &[BindZone<'_>],
    ) -> Option<Self> {
        let program = suites::program("named")?;
        let at = folder.display();
        let mut text = format!(
            "options {{ directory \"{at}\"; listen-on port {} {{ {}; }}; listen-on-v6 {{ none; }}; pid-file none;\n\
             session-keyfile \"{at}/session.key\"; managed-keys-directory \"{at}\"; recursion no; notify no;\n\
             dnssec-validation no; check-names primary ignore; allow-transfer {{ none; }}; }};\ncontrols {{ }};\n",
            address.port(),
            address.ip()
        );
        for (name, algorithm, secret) in keys {
            let _ = writeln!(text, "key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};");
        }
        for zone in zones {
            let name = zone.name;
            let _ =
                writeln!(text, "zone \"{name}\" {{ type primary; file \"{name}.zone\"; {} }};", zone.options);
            let file = folder.join(format!("{name}.zone"));
            if !file.exists() {
                let records = format!(
                    "$TTL 300\n$ORIGIN {name}.\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A {}\n{}\n",
                    address.ip(),
                    zone.records
                );
                fs::write(file, records).expect("the zone file can be written");
            }
        }
        let config = folder.join("named.conf");
        fs::write(&config, text).expect("the configuration can be written");
        let log = fs::File::create(folder.join("named.log")).expect("the log can be written");
        let process = Command::new(program)
            .args(["-g", "-n", "1", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("named starts");
        let mut server = Self { process, address, folder: folder.to_owned() };
        for _ in 0..TRIES {
            let ended = server.process.try_wait().expect("named can be asked for");
            assert!(ended.is_none(), "named ended:\n{}", server.log());
            if server.log().contains(" running") && TcpStream::connect(address).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("named does not listen:\n{}", server.log());
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("named.log")).unwrap_or_default()
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address of loopback that is free for UDP and TCP at this moment.
fn free() -> SocketAddr {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = tcp.local_addr().expect("it has an address");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free for both UDP and TCP")
}

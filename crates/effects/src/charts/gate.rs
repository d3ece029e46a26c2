//! The only way out of a Helm that fetches: a proxy of HTTP on loopback. Helm is closed in so that it can open connections to
//! this port alone (`confined`), so every name is resolved here and every address looked at here, those of redirects, of
//! indexes and of token servers too, and the address that was looked at is the one that is dialled.
//!
//! `CONNECT` for TLS, which stays between Helm and the server (RFC 9110 §9.3.6); `GET` and `HEAD` of a whole URL for the rest (RFC 9112
//! §3.2.2), one request a connection.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::resolver::{Resolve, may_be_asked};

/// Longest head of a request.
const HEAD: usize = 64 << 10;
/// Connections at one time.
const MOST: usize = 32;
/// Longest wait for a connection, and for the next byte of one.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open gate; closed when it is dropped.
#[derive(Debug)]
pub(super) struct Gate {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    resolve: Resolve,
    loopback: bool,
    closed: AtomicBool,
    open: AtomicUsize,
    /// Bytes that may still come in.
    left: AtomicU64,
    refused: Mutex<Vec<String>>,
}

impl Gate {
    /// Opens one for `most` bytes. `loopback`: this machine may be asked too.
    pub(super) fn open(resolve: Resolve, loopback: bool, most: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            resolve,
            loopback,
            closed: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            left: AtomicU64::new(most),
            refused: Mutex::default(),
        });
        let of = Arc::clone(&shared);
        thread::Builder::new().name("charts-gate".into()).spawn(move || {
            for client in listener.incoming() {
                if of.closed.load(Ordering::Acquire) {
                    break;
                }
                let Ok(client) = client else { continue };
                if of.open.fetch_add(1, Ordering::AcqRel) >= MOST {
                    of.open.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let of = Arc::clone(&of);
                thread::spawn(move || {
                    // What goes wrong Helm sees as a connection that ends.
                    let _ = of.serve(client);
                    of.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        })?;
        Ok(Self { port, shared })
    }

    /// Its port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What was not let through, one sentence each.
    pub(super) fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Wakes who waits for the next one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let (head, early) = head(&mut client)?;
        match asked(&head) {
            Some(Asked::Tunnel(host, port)) => {
                let Some(server) = self.dial(&mut client, &host, port)? else { return Ok(()) };
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
                to.write_all(&early)?;
                let up = thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                self.down(&server, &client);
                let _ = up.join();
            }
            Some(Asked::Plain(host, port, request)) => {
                let Some(mut server) = self.dial(&mut client, &host, port)? else { return Ok(()) };
                server.write_all(request.as_bytes())?;
                self.down(&server, &client);
            }
            None => client
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?,
        }
        Ok(())
    }

    /// Hands on what the server sends, as long as it is not too much, and ends both.
    fn down(&self, mut server: &TcpStream, mut client: &TcpStream) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = server.read(&mut bytes) {
            let n64 = n as u64;
            let left =
                self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(n64));
            if left.is_err() {
                self.refuse("more than it may was sent".to_owned());
                break;
            }
            if client.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn refuse(&self, why: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.contains(&why) && refused.len() < 8 {
            refused.push(why);
        }
    }

    /// Connects to the first address that may be asked; `None` after the client was told why not.
    fn dial(&self, client: &mut TcpStream, host: &str, port: u16) -> io::Result<Option<TcpStream>> {
        let found = (self.resolve)(host, port);
        let (mut allowed, mut own): (Vec<SocketAddr>, Vec<SocketAddr>) = (Vec::new(), Vec::new());
        for address in found.as_ref().into_iter().flatten() {
            if may_be_asked(address.ip(), self.loopback) {
                allowed.push(*address);
            } else {
                own.push(*address);
            }
        }
        let mut why = match (&found, own.first()) {
            (Err(why), _) => format!("{host} is not resolved: {why}"),
            // Also where another of its addresses may: a name with both is made for that.
            (_, Some(own)) => {
                allowed.clear();
                let why = format!("{host} is {}, which no repository may have asked", own.ip());
                self.refuse(why.clone());
                why
            }
            _ => format!("{host} has no address"),
        };
        for address in allowed {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(server) => {
                    server.set_read_timeout(Some(PATIENCE))?;
                    server.set_write_timeout(Some(PATIENCE))?;
                    return Ok(Some(server));
                }
                Err(error) => why = format!("{host} ({}): {error}", address.ip()),
            }
        }
        let why: String = why.chars().filter(|c| !c.is_control()).collect();
        // Go tells the words of the status to who called.
        let answer = format!("HTTP/1.1 502 {why}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        client.write_all(answer.as_bytes())?;
        Ok(None)
    }
}

/// What a client of the gate asks for.
pub(crate) enum Asked {
    /// A connection to a host and port.
    Tunnel(String, u16),
    /// The request as the server gets it.
    Plain(String, u16, String),
}

/// Reads up to the empty line; gives what came after it too.
fn head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut next = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            let head = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            return Ok((head, early));
        }
        let n = client.read(&mut next)?;
        if n == 0 || bytes.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&next[..n]);
    }
}

/// What the head of a request asks for; `None` where it is none that is handed on.
pub(crate) fn asked(head: &str) -> Option<Asked> {
    // A line that ends otherwise is two lines to some servers (RFC 9112 §2.2).
    if head.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return None;
    }
    let (line, rest) = head.split_once("\r\n")?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = authority(target, None)?;
        return Some(Asked::Tunnel(host, port));
    }
    // What has a body could hide a second request in it.
    if !matches!(method, "GET" | "HEAD") {
        return None;
    }
    let target = target.strip_prefix("http://")?;
    let at = target.find(['/', '?']).unwrap_or(target.len());
    let (place, path) = target.split_at(at);
    let (host, port) = authority(place, Some(80))?;
    let mut request = format!("{method} {}{path} HTTP/1.1\r\n", if path.starts_with('/') { "" } else { "/" });
    for field in rest.split("\r\n").filter(|field| !field.is_empty()) {
        let name = field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        // Of this connection (RFC 9110 §7.6.1).
        if matches!(
            &*name,
            "connection" | "keep-alive" | "proxy-connection" | "proxy-authorization" | "upgrade"
        ) {
            continue;
        }
        request.extend([field, "\r\n"]);
    }
    request.push_str("Connection: close\r\n\r\n");
    Some(Asked::Plain(host, port, request))
}

fn authority(text: &str, usual: Option<u16>) -> Option<(String, u16)> {
    let end = text.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match text[end..].rfind(':') {
        Some(at) => (&text[..end + at], text[end + at + 1..].parse().ok()?),
        None => (text, usual?),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

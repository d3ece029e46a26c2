//! A small web server on loopback: what a chart repository says, and how it says it badly.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This content.
    Content(Vec<u8>),
    /// Another place.
    Redirect(String),
    /// Nothing, for so long.
    Late(Duration),
    /// Bytes without end.
    Endless,
}

/// What is served, by path; changed while it serves.
pub type Pages = BTreeMap<String, Answer>;

#[derive(Debug, Default)]
struct Shared {
    pages: Mutex<Pages>,
    /// Value of `Authorization` without which it answers 401.
    guard: Option<String>,
    /// Port of a server that answers in its place, once a request has passed.
    before: Option<u16>,
    asked: Mutex<Vec<String>>,
    closed: AtomicBool,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Site {
    port: u16,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    /// Serves nothing yet.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> io::Result<Self> {
        Self::of(Shared::default())
    }

    /// The same for who sends this `Authorization` alone.
    ///
    /// # Errors
    /// When there is no port.
    pub fn guarded(authorization: &str) -> io::Result<Self> {
        Self::of(Shared { guard: Some(authorization.to_owned()), ..Shared::default() })
    }

    /// The same in front of another server on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn guard_of(port: u16, authorization: &str) -> io::Result<Self> {
        Self::of(Shared { guard: Some(authorization.to_owned()), before: Some(port), ..Shared::default() })
    }

    fn of(shared: Shared) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(shared);
        let of = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of.closed.load(Ordering::Acquire) {
                    break;
                }
                let of = Arc::clone(&of);
                thread::spawn(move || drop(of.serve(client)));
            }
        });
        Ok(Self { port, shared })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves this from now on.
    pub fn put(&self, path: &str, answer: Answer) {
        lock(&self.shared.pages).insert(path.to_owned(), answer);
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < 1 << 16 {
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        lock(&self.asked).push(path.to_owned());
        let sent = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then_some(value)
        });
        if self.guard.as_deref().is_some_and(|wanted| sent != Some(wanted)) {
            let challenge = "WWW-Authenticate: Basic realm=\"charts\"\r\n";
            return answer(&mut client, "401 Unauthorized", challenge, b"");
        }
        if let Some(port) = self.before {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            server.write_all(head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).as_bytes())?;
            let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || drop(io::copy(&mut from, &mut to)));
            io::copy(&mut server, &mut client)?;
            return client.shutdown(Shutdown::Both);
        }
        let page = lock(&self.pages).get(path).cloned();
        match page {
            Some(Answer::Content(content)) if method == "HEAD" => {
                let length = format!("Content-Length: {}\r\n", content.len());
                write!(client, "HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n")
            }
            Some(Answer::Content(content)) => answer(&mut client, "200 OK", "", &content),
            Some(Answer::Redirect(to)) => {
                answer(&mut client, "302 Found", &format!("Location: {to}\r\n"), b"")
            }
            Some(Answer::Late(time)) => {
                thread::sleep(time);
                Ok(())
            }
            Some(Answer::Endless) => {
                client.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                // Until who asks has enough.
                let bytes = vec![b'#'; 1 << 16];
                while client.write_all(&bytes).is_ok() {}
                Ok(())
            }
            None => answer(&mut client, "404 Not Found", "", b"nothing is here"),
        }
    }
}

fn answer(client: &mut TcpStream, status: &str, fields: &str, content: &[u8]) -> io::Result<()> {
    let length = content.len();
    write!(client, "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    client.write_all(content)
}

//! Small servers and clients of the tests, with TLS and without, on loopback.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::backends::slice;

/// A server that notes what it is asked, each first line with the name of whom shows a certificate, and answers as it is told
/// by the first line and by how often that came.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, bool)>>>,
}

pub type Status = fn(&str, usize) -> u16;

impl Server {
    pub fn start(tls: Option<Arc<ServerConfig>>, status: Status) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, tls) = (Arc::clone(&noted), tls.clone());
                std::thread::spawn(move || {
                    let Some(tls) = tls else { return answer(stream, &noted, |_| false, status) };
                    let stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
                    answer(stream, &noted, |stream| stream.conn.peer_certificates().is_some(), status);
                });
            }
        });
        Self { address, seen }
    }

    /// What came for a path, probes of Portolan aside.
    pub fn seen(&self, path: &str) -> Vec<(String, bool)> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(first, _)| first.contains(path)).cloned().collect()
    }

    /// A slice of a Service with this endpoint and others.
    pub fn slice(&self, name: &str, port: &str) -> String {
        let ports = format!("[{{name: {port}, port: {}, protocol: TCP}}]", self.address.port());
        slice(name, &ports, "[{addresses: ['127.0.0.1']}]", "IPv4")
    }
}

fn answer<S: Read + Write>(
    stream: S,
    noted: &Mutex<Vec<(String, bool)>>,
    shown: impl Fn(&S) -> bool,
    status: Status,
) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let first = lines[0].clone();
        let host = lines.iter().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let shown = shown(reader.get_ref());
        let line = format!("{first} {host}");
        let count = {
            let mut noted = noted.lock().unwrap();
            noted.push((line.clone(), shown));
            noted.iter().filter(|(other, _)| *other == line).count()
        };
        let code = status(&first, count);
        let answer = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n{line}", line.len());
        // Nobody between the two ends a connection of TCP.
        let last = lines.iter().any(|line| line.eq_ignore_ascii_case("connection: close"));
        if reader.get_mut().write_all(answer.as_bytes()).is_err() || last {
            return;
        }
    }
}

/// Status, headers with names in lower case, body.
pub type Answer = (u16, Vec<(String, String)>, String);

pub fn read(stream: impl Read) -> std::io::Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut body = String::new();
    // A peer that closes without saying so has said all that it had to.
    let _ = reader.read_to_string(&mut body);
    Ok((status, headers, body))
}

pub fn place(entry: &Value) -> (String, u16) {
    let port = u16::try_from(entry["port"].as_u64().unwrap()).unwrap();
    (entry["address"].as_str().unwrap().to_owned(), port)
}

pub fn text(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n")
}

pub fn ask(entry: &Value, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(place(entry)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let host = entry["hostname"].as_str().unwrap();
    stream.write_all(text(method, host, path, headers).as_bytes()).unwrap();
    read(stream).unwrap()
}

pub fn get<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.1.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
}

pub const OK: Status = |_, _| 200;

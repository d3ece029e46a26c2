//! What a process accepts connections at. An Envoy that another one has taken over from serves until its connections are
//! drained, but listens no more: that is what tells it from one whose successor has failed before.

use std::{collections::BTreeSet, fs, net::Ipv4Addr};

/// State of a socket in `/proc/net/tcp` that listens (Linux, `TCP_LISTEN`).
const LISTENS: &str = "0A";

/// Whether a process has a TCP socket that listens.
pub fn listens(pid: i32) -> bool {
    let sockets = sockets(pid);
    ["tcp", "tcp6"].iter().any(|table| !listening(&format!("/proc/{pid}/net/{table}"), &sockets).is_empty())
}

/// Addresses of IPv4 that a process listens at, in our own network namespace.
pub fn addresses(pid: i32) -> impl Iterator<Item = Ipv4Addr> {
    listening("/proc/self/net/tcp", &sockets(pid)).into_iter().filter_map(|at| address(&at))
}

/// The address of a field such as `01034D7F:20FB`: hexadecimal digits of the bytes as the machine has them in memory.
fn address(at: &str) -> Option<Ipv4Addr> {
    let (address, _) = at.split_once(':')?;
    Some(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes()))
}

/// Numbers of the sockets that a process has open; none if it is another user's.
fn sockets(pid: i32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = open.filter_map(|file| fs::read_link(file.path()).ok());
    links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

/// Local addresses of those of these sockets that listen, as a table of the kernel has them (Linux, `proc_pid_net(5)`).
fn listening(table: &str, sockets: &BTreeSet<String>) -> BTreeSet<String> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let lines = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = fields.get(3) == Some(&LISTENS) && sockets.contains(*fields.get(9)?);
        ours.then(|| fields[1].to_owned())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn who_listens_is_told_from_who_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(super::listens(me));
        let elsewhere = std::net::TcpListener::bind("127.77.251.9:0").unwrap();
        let at = |address: [u8; 4]| super::addresses(me).any(|at| at.octets() == address);
        assert!(at([127, 0, 0, 1]) && at([127, 77, 251, 9]) && !at([127, 77, 251, 8]));
        drop(elsewhere);
        // It is given no socket of ours: they are closed when a program is started.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = super::listens(i32::try_from(other.id()).unwrap());
        other.kill().unwrap();
        other.wait().unwrap();
        drop(listener);
        assert!(!seen && !super::listens(i32::MAX));
    }
}

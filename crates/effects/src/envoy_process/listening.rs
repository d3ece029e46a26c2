//! Whether a process still accepts connections. An Envoy that another one has taken over from serves until its connections are
//! drained, but listens no more: that is what tells it from one whose successor has failed before.

use std::{collections::BTreeSet, fs};

/// State of a socket in `/proc/net/tcp` that listens (Linux, `TCP_LISTEN`).
const LISTENS: &str = "0A";

/// Whether a process has a TCP socket that listens.
pub fn listens(pid: i32) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = open.filter_map(|file| fs::read_link(file.path()).ok());
    let sockets: BTreeSet<String> = links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    ["tcp", "tcp6"].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(3) == Some(&LISTENS) && fields.get(9).is_some_and(|inode| sockets.contains(*inode))
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn who_listens_is_told_from_who_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(super::listens(i32::try_from(std::process::id()).unwrap()));
        // It is given no socket of ours: they are closed when a program is started.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = super::listens(i32::try_from(other.id()).unwrap());
        other.kill().unwrap();
        other.wait().unwrap();
        drop(listener);
        assert!(!seen && !super::listens(i32::MAX));
    }
}

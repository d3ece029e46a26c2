#![allow(clippy::unwrap_used)]
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use flate2::{Compression, write::GzEncoder};

use super::{gate::Gate, *};

fn reference(repository: &str, chart: &str, asked: &str) -> String {
    Reference::new(repository, chart, asked).map_or_else(|why| why.to_string(), |it| it.to_string())
}

#[test]
fn one_chart_has_one_name_however_it_is_written() {
    for (repository, chart) in [
        ("oci://r.example/charts", "redis"),
        ("r.example/charts/", "redis"),
        ("OCI://r.example", "charts/redis"),
    ] {
        assert_eq!(reference(repository, chart, " 1.x "), "redis 1.x of oci://r.example/charts");
    }
    let oci = Reference::oci("oci://r.example:5000/charts/redis", "").unwrap();
    assert_eq!(oci.to_string(), "redis (newest) of oci://r.example:5000/charts");
    assert_eq!(oci.host(), ("r.example", 5000));
    assert_eq!(Reference::new("http://[::1]:80/x", "a", "").unwrap().host(), ("::1", 80));
    assert_eq!(Reference::new("https://h.example/x", "a", "").unwrap().host(), ("h.example", 443));
}

#[test]
fn what_helm_would_take_for_something_else_is_no_chart() {
    for (repository, chart, asked, why) in [
        ("file:///etc", "a", "", "no https://"),
        ("ssh://h.example/x", "a", "", "no https://"),
        ("https://", "a", "", "no https://"),
        ("https:///x", "a", "", "no https://"),
        ("https://u:hush@h.example", "a", "", "holds a user name or password"),
        ("https://h.example", "--repo=x", "", "name"),
        ("https://h.example", "../a", "", "name"),
        ("https://h.example", "a b", "", "name"),
        ("oci://h.example", "a/-b", "", "name"),
        ("oci://h.example", "a/.b", "", "name"),
        ("oci://h.example", "a//b", "", "name"),
        ("https://h.example", "", "", "name"),
        ("https://h.example", "a", "--devel", "version"),
        ("https://h.example", "a", "1\n2", "version"),
    ] {
        let told = reference(repository, chart, asked);
        assert!(told.contains(why) && !told.contains("hush"), "{repository} {chart} {asked}: {told}");
    }
}

#[test]
fn ranges_are_told_from_versions() {
    for (asked, range) in [
        ("", true),
        ("1", true),
        ("1.2", true),
        ("v1", true),
        ("1.2.x", true),
        ("^1.2.3", true),
        (">=1.0.0 <2.0.0", true),
        ("*", true),
        ("1.2.3", false),
        ("v1.2.3-rc.1", false),
        ("1.2.3+build.x5", false),
        ("latest", false),
        ("sha256:0", false),
    ] {
        assert_eq!(Reference::new("https://h.example", "a", asked).unwrap().is_range(), range, "{asked}");
    }
}

#[test]
fn this_machine_and_its_link_are_not_asked() {
    let may = |address: &str, loopback| resolver::may_be_asked(address.parse::<IpAddr>().unwrap(), loopback);
    for own in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"] {
        assert!(!may(own, false) && may(own, true), "{own}");
    }
    for never in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "100.100.100.200",
        "fd00:ec2::254",
    ] {
        assert!(!may(never, false) && !may(never, true), "{never}");
    }
    for public in ["203.0.113.9", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fd12::1"] {
        assert!(may(public, false), "{public}");
    }
    for (url, own) in [
        ("http://localhost:8080", true),
        ("http://charts.localhost.", true),
        ("http://[::1]", true),
        ("https://169.254.169.254/latest", true),
        ("https://charts.example", false),
        ("https://10.0.0.7", false),
    ] {
        let chart = Reference::new(url, "a", "").unwrap();
        assert_eq!(chart.outside(false).is_err(), own, "{url}");
    }
}

#[test]
fn the_lock_is_the_same_text_for_the_same_charts() {
    let mut lock = LockFile::default();
    for (repository, chart, asked) in [
        ("https://b.example", "web", "1.x"),
        ("oci://a.example/x", "db", ""),
        ("https://b.example", "app", "\"#"),
        ("https://b.example", "odd", "\\ \u{a0}é\u{2028}\u{feff}\u{ffff}\u{1f600}-"),
    ] {
        let locked = Locked { version: "1.2.3\u{7f}\n".into(), digest: Digest::of(chart.as_bytes()) };
        lock.charts.insert(Reference::new(repository, chart, asked).unwrap(), locked);
    }
    let text = lock.text();
    assert_eq!(LockFile::parse(&text).unwrap(), lock, "{text}");
    let order: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("- chart: ")).collect();
    assert_eq!(order, ["\"app\"", "\"odd\"", "\"web\"", "\"db\""]);
    assert_eq!(LockFile::parse(&LockFile::default().text()).unwrap(), LockFile::default());
}

#[test]
fn a_lock_that_is_not_whole_is_none() {
    let digest = Digest::of(b"x");
    let entry = |digest: &str| {
        format!(
            "- {{chart: a, repository: 'https://h.example', asked: '1', version: 1.0.0, digest: '{digest}'}}\n"
        )
    };
    let good = entry(&digest.to_string());
    assert!(LockFile::parse(&format!("version: 1\ncharts:\n{good}")).is_ok());
    for (text, why) in [
        (format!("version: 1\ncharts:\n{good}{good}"), "stands there twice"),
        (format!("version: 2\ncharts:\n{good}"), "version 2"),
        (format!("version: 1\ncharts:\n{}", entry("sha256:00")), "64 digits"),
        (format!("version: 1\ncharts:\n{}", entry(&digest.to_string().to_uppercase())), "64 digits"),
        ("version: 1\nchart: []\n".to_owned(), "chart"),
        ("<<<<<<< HEAD\nversion: 1\n".to_owned(), "line "),
        (String::new(), "0 documents"),
        ("version: 1\n---\nversion: 1\n".to_owned(), "2 documents"),
    ] {
        let told = LockFile::parse(&text).unwrap_err();
        assert!(told.contains(why), "{text}: {told}");
    }
}

fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        // Written as it is: the crate refuses what leads out.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        if *kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn an_archive_is_unpacked_into_its_folder_or_not_at_all() {
    use tar::EntryType::{Regular, Symlink};
    const CHART: &[u8] = b"apiVersion: v2\nname: a\nversion: 1.0.0\n";
    let chart = ("a/Chart.yaml", Regular, CHART);
    let good =
        Unpacked::of(&archive(&[chart, ("a/link", Symlink, b""), ("./a/templates/x.yaml", Regular, b"x")]))
            .unwrap();
    assert_eq!((&*good.name, &*good.version), ("a", "1.0.0"));
    assert!(good.root().join("a/templates/x.yaml").is_file() && !good.root().join("a/link").exists());
    let folder = good.root().to_owned();
    drop(good);
    assert!(!folder.exists());
    let large = vec![0; 101 << 20];
    for (entries, why) in [
        (vec![chart, ("a/../../x", Regular, b"x" as &[u8])], "leads out"),
        (vec![chart, ("/etc/x", Regular, b"x")], "leads out"),
        (vec![chart, ("b/Chart.yaml", Regular, CHART)], "more than one folder"),
        (vec![("Chart.yaml", Regular, CHART)], "more than one folder"),
        (vec![chart, ("a/Chart.yaml", Regular, CHART)], "exists"),
        (vec![("a/x", Regular, b"x")], "Chart.yaml"),
        (vec![("a/Chart.yaml", Regular, b"name: a\n")], "no version"),
        (vec![chart, ("a/large", Regular, &large)], "100 MiB"),
        (vec![], "empty"),
    ] {
        let told = Unpacked::of(&archive(&entries)).unwrap_err();
        assert!(told.contains(why), "{why}: {told}");
    }
    // A sparse file is as large as it says; nothing of it is written.
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, size) in [("a/Chart.yaml", None), ("a/sparse", Some(u64::MAX - 8))] {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_size(if size.is_some() { 0 } else { CHART.len() as u64 });
        if let Some(size) = size {
            header.set_entry_type(tar::EntryType::GNUSparse);
            let bytes = header.as_mut_bytes();
            // `numbytes` of the first part, its `offset` and `realsize` (GNU tar, `tar.h`), these in base 256.
            bytes[398..409].fill(b'0');
            for at in [386, 483] {
                bytes[at] = 0x80;
                bytes[at + 4..at + 12].copy_from_slice(&size.to_be_bytes());
            }
        }
        header.set_cksum();
        tar.append(&header, if size.is_some() { b"" } else { CHART }).unwrap();
    }
    let told = Unpacked::of(&tar.into_inner().unwrap().finish().unwrap()).unwrap_err();
    assert!(told.contains("100 MiB"), "{told}");
    for content in [&b"<html>hello</html>"[..], b"", &archive(&[chart])[..40]] {
        assert!(Unpacked::of(content).is_err());
    }
}

#[test]
fn what_is_kept_is_hashed_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("charts"));
    let digest = store.put(b"content").unwrap();
    assert_eq!(store.get(&digest).unwrap(), b"content");
    assert_eq!(store.get(&Digest::of(b"other")), Err(Damaged::Missing));
    let file = store.folder().join("sha256").join(format!("{}.tgz", digest.digits()));
    std::fs::write(&file, b"contemt").unwrap();
    assert!(matches!(store.get(&digest), Err(Damaged::Wrong(why)) if why.contains("holds sha256:")));
    store.put(b"content").unwrap();
    assert!(store.get(&digest).is_ok(), "what is put is there whatever stood in its place");
}

#[test]
fn an_archive_makes_no_more_folders_than_files() {
    let long = |path: &str, tar: &mut tar::Builder<GzEncoder<Vec<u8>>>| {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        tar.append_data(&mut header, path, b"" as &[u8]).unwrap();
    };
    let made = |paths: &mut dyn Iterator<Item = String>| {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        paths.for_each(|path| long(&path, &mut tar));
        Unpacked::of(&tar.into_inner().unwrap().finish().unwrap()).unwrap_err()
    };
    let deep = |n: usize, folders: usize| format!("a/{n}/{}x", "b/".repeat(folders));
    assert_eq!(made(&mut [deep(0, 62)].into_iter()), "a file below \"a/0/b\" lies deeper than 64 folders");
    assert!(made(&mut [deep(0, 61)].into_iter()).contains("Chart.yaml"));
    let many = (0..400).map(|n| deep(n, 60));
    assert_eq!(made(&mut many.into_iter()), "it holds more than 20000 files and folders");
}

/// A server that answers the first request with what it was asked.
fn server() -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let n = client.read(&mut bytes).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    });
    (port, asked)
}

fn through(gate: &Gate, request: &str) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", gate.port())).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    let _ = client.read_to_string(&mut text);
    text
}

fn by_name(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    Ok(match host {
        "charts.example" => vec![([127, 0, 0, 1], port).into()],
        "both.example" => vec![([127, 0, 0, 1], port).into(), ([169, 254, 169, 254], port).into()],
        "link.example" => vec![([169, 254, 169, 254], port).into()],
        _ => return Err(std::io::Error::other("no such name")),
    })
}

#[test]
fn the_gate_hands_on_requests_without_what_is_for_itself() {
    let gate = Gate::open(by_name, true, 1 << 20).unwrap();
    let (port, asked) = server();
    let answer = through(
        &gate,
        &format!(
            "GET http://charts.example:{port}/a?b HTTP/1.1\r\nHost: charts.example:{port}\r\nProxy-Connection: x\r\n\
             Proxy-Authorization: y\r\nConnection: keep-alive\r\nAuthorization: Basic z\r\n\r\nGET /second HTTP/1.1\r\n\r\n"
        ),
    );
    assert!(answer.ends_with("ok"), "{answer}");
    assert_eq!(
        asked.join().unwrap(),
        format!(
            "GET /a?b HTTP/1.1\r\nHost: charts.example:{port}\r\nAuthorization: Basic z\r\nConnection: close\r\n\r\n"
        )
    );
    let (port, asked) = server();
    let answer = through(&gate, &format!("CONNECT charts.example:{port} HTTP/1.1\r\n\r\nhello"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
    assert_eq!(asked.join().unwrap(), "hello");
    assert!(gate.refused().is_empty());
}

#[test]
fn the_gate_dials_no_address_that_may_not_be_asked() {
    let open = Gate::open(by_name, true, 1 << 20).unwrap();
    for host in ["link.example", "both.example"] {
        for request in
            [format!("GET http://{host}/ HTTP/1.1\r\n\r\n"), format!("CONNECT {host}:443 HTTP/1.1\r\n\r\n")]
        {
            let answer = through(&open, &request);
            assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("169.254.169.254"), "{answer}");
        }
    }
    assert_eq!(open.refused().len(), 2, "{:?}", open.refused());
    let strict = Gate::open(by_name, false, 1 << 20).unwrap();
    let answer = through(&strict, "CONNECT charts.example:443 HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502") && strict.refused()[0].contains("127.0.0.1"), "{answer}");
    assert!(through(&open, "CONNECT none.example:443 HTTP/1.1\r\n\r\n").contains("no such name"));
    for request in [
        "POST http://charts.example/ HTTP/1.1\r\n\r\n",
        "GET /here HTTP/1.1\r\n\r\n",
        "GET ftp://charts.example/ HTTP/1.1\r\n\r\n",
        "CONNECT charts.example HTTP/1.1\r\n\r\n",
        "CONNECT a b:1 HTTP/1.1\r\n\r\n",
        "nothing\r\n\r\n",
        "GET http://charts.example/\nHost: other.example\n\nGET HTTP/1.1\r\n\r\n",
        "GET http://charts.example/ HTTP/1.1\r\nA: b\n\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert!(through(&open, request).starts_with("HTTP/1.1 400"), "{request}");
    }
}

#[test]
fn the_gate_brings_in_no_more_than_it_may() {
    let gate = Gate::open(by_name, true, 10).unwrap();
    let (port, _asked) = server();
    let answer = through(&gate, &format!("GET http://charts.example:{port}/ HTTP/1.1\r\n\r\n"));
    assert_eq!(answer, "");
    assert_eq!(gate.refused(), ["more than it may was sent"]);
}

//! DNS messages: requests to the embedded server, and what a server answers to a question of ours.
#![no_main]

use std::sync::LazyLock;

use domain::base::Message;
use portolan_effects::{
    dns::embedded::{Contents, ZoneContents},
    fuzzing::{DnsServer, dns_answer},
};
use portolan_fuzz::target;
use portolan_model::dns::{RecordSet, RecordType, normal_name};

static SERVER: LazyLock<DnsServer> = LazyLock::new(|| {
    let set = |name: &str, r#type, values: &[String]| {
        RecordSet::new(name, r#type, None, values.iter().map(String::as_str))
    };
    let texts = |lengths: &[usize]| lengths.iter().map(|length| "x".repeat(*length)).collect::<Vec<_>>();
    let of = |text: &str| vec![text.to_owned()];
    let sets = vec![
        set("a.example.com", RecordType::A, &of("192.0.2.1")),
        set("a.example.com", RecordType::Aaaa, &of("2001:db8::1")),
        set("a.example.com", RecordType::Txt, &texts(&[10])),
        set("large.example.com", RecordType::Txt, &texts(&[3000])),
        set("huge.example.com", RecordType::Txt, &texts(&[50_000, 50_001])),
        set("c.example.com", RecordType::Cname, &of("a.example.com")),
        set("loop.example.com", RecordType::Cname, &of("loop2.example.com")),
        set("loop2.example.com", RecordType::Cname, &of("loop.example.com")),
        set("away.example.com", RecordType::Cname, &of("example.net")),
        set("*.w.example.com", RecordType::Cname, &of("b.w.example.com")),
        set("*.v.example.com", RecordType::A, &of("192.0.2.2")),
        set("d.e.f.example.com", RecordType::A, &of("192.0.2.3")),
        set("s\\.p\\032.example.com", RecordType::Txt, &texts(&[1])),
    ];
    let below = ZoneContents { zone: "sub.example.com".into(), serial: 7, sets: Vec::new() };
    let zone = ZoneContents { zone: "example.com".into(), serial: 1, sets };
    DnsServer::new(&Contents { zones: vec![zone, below] }).expect("these are zones")
});

target!(|bytes| {
    for tcp in [false, true] {
        let Some(reply) = SERVER.answer(bytes, tcp) else { continue };
        assert!(reply.len() <= if tcp { 65_535 } else { 1232 }, "{} bytes", reply.len());
        let request = Message::from_octets(bytes.to_vec()).expect("it was answered");
        let reply = Message::from_octets(reply).expect("a reply of ours");
        assert!(reply.header().qr() && reply.header().id() == request.header().id());
        for record in &reply {
            assert!(record.is_ok(), "a record of ours");
        }
        // No answer is a request to somebody else.
        assert_eq!(SERVER.answer(reply.as_slice(), tcp), None);
        assert!(dns_answer(reply.as_slice()).is_some(), "we read what we write");
    }
    if let Some(answer) = dns_answer(bytes) {
        for set in &answer.sets {
            let name = normal_name(&set.name);
            assert!(name.as_ref() == Ok(&set.name), "{:?} is in its normal form", set.name);
        }
    }
});

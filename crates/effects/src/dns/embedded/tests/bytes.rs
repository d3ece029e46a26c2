//! Requests as bytes: sizes, truncation, EDNS, and what no well-behaved client sends.

use std::str::FromStr;

use domain::{
    base::{
        Message, MessageBuilder, Name, Rtype,
        iana::{Opcode, OptRcode, Rcode},
    },
    rdata::Txt,
};
use portolan_model::dns::{Change, Group, RecordSet, RecordType};
use proptest::prelude::*;

use crate::dns::embedded::{
    answer::{Transport, Zones, answer},
    zone::Zone,
};

fn zones() -> Zones {
    let mut zone = Zone::new(&"example.com".into(), "127.0.0.1".parse().unwrap()).unwrap();
    for (name, length) in [("small", 100), ("middle", 900), ("large", 3000)] {
        let set = RecordSet::new(format!("{name}.example.com"), RecordType::Txt, None, ["x".repeat(length)]);
        zone.apply(&Group { changes: vec![Change::create(set)] }).unwrap();
    }
    let many: Vec<String> = (0..40).map(|n| format!("{n:02}{}", "y".repeat(2000))).collect();
    let set = RecordSet::new("huge.example.com", RecordType::Txt, None, many);
    zone.apply(&Group { changes: vec![Change::create(set)] }).unwrap();
    Zones::from([(zone.apex.clone(), zone)])
}

/// A TXT question, with EDNS of that payload size and version.
fn request(name: &str, edns: Option<(u16, u8)>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(4711);
    let mut builder = builder.question();
    builder.push((Name::<Vec<u8>>::from_str(name).unwrap(), Rtype::TXT)).unwrap();
    let mut builder = builder.additional();
    if let Some((size, version)) = edns {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                opt.set_version(version);
                opt.set_dnssec_ok(true);
                Ok(())
            })
            .unwrap();
    }
    builder.finish()
}

fn reply(request: &[u8], transport: Transport) -> Message<Vec<u8>> {
    Message::from_octets(answer(&zones(), request, transport).unwrap()).unwrap()
}

#[test]
fn answers_fit_what_the_client_can_take() {
    for (name, edns, size, cut) in [
        ("small", None, 512, false),
        ("middle", None, 512, true),
        ("middle", Some(512), 512, true),
        ("middle", Some(100), 512, true),
        ("middle", Some(1000), 1000, false),
        ("middle", Some(4096), 1232, false),
        ("large", Some(4096), 1232, true),
    ] {
        let request = request(&format!("{name}.example.com"), edns.map(|size| (size, 0)));
        let over_udp = reply(&request, Transport::Udp);
        assert_eq!(over_udp.header().tc(), cut, "{name} {edns:?}");
        assert!(over_udp.as_slice().len() <= size, "{name} {edns:?}: {} bytes", over_udp.as_slice().len());
        assert_eq!(over_udp.header_counts().ancount(), u16::from(!cut), "a cut answer is empty");
        assert_eq!(over_udp.header_counts().qdcount(), 1);
        let over_tcp = reply(&request, Transport::Tcp);
        assert!(!over_tcp.header().tc());
        assert_eq!(over_tcp.header_counts().ancount(), 1);
        for reply in [over_udp, over_tcp] {
            assert_eq!(reply.header().id(), 4711);
            assert_eq!(
                reply.opt().map(|opt| (opt.udp_payload_size(), opt.dnssec_ok())),
                edns.map(|_| (1232, true))
            );
        }
    }
}

#[test]
fn long_text_is_cut_into_strings_of_255_bytes() {
    let reply = reply(&request("large.example.com", None), Transport::Tcp);
    let record = reply.answer().unwrap().limit_to::<Txt<_>>().next().unwrap().unwrap();
    let lengths: Vec<_> = record.data().iter().map(<[u8]>::len).collect();
    assert_eq!(lengths, [vec![255; 11], vec![3000 - 11 * 255]].concat());
}

#[test]
fn a_set_that_fits_no_message_is_a_server_failure() {
    let reply = reply(&request("huge.example.com", None), Transport::Tcp);
    assert_eq!((reply.header().rcode(), reply.header_counts().ancount()), (Rcode::SERVFAIL, 0));
}

#[test]
fn newer_edns_is_answered_badvers() {
    let reply = reply(&request("small.example.com", Some((1232, 1))), Transport::Udp);
    assert_eq!(reply.opt_rcode(), OptRcode::BADVERS);
    assert_eq!(reply.header_counts().ancount(), 0);
}

#[test]
fn malformed_and_unknown_requests_get_their_codes() {
    let good = request("small.example.com", None);
    let code = |request: &[u8]| reply(request, Transport::Udp).header().rcode();
    // No question; two questions; a question that is cut off; bytes that claim to be a record.
    assert_eq!(
        code(&good[..12].iter().enumerate().map(|(n, b)| if n == 5 { 0 } else { *b }).collect::<Vec<_>>()),
        Rcode::FORMERR
    );
    let mut two = good.clone();
    two[5] = 2;
    two.extend_from_slice(&good[12..]);
    assert_eq!(code(&two), Rcode::FORMERR);
    assert_eq!(code(&good[..good.len() - 3]), Rcode::FORMERR);
    let mut claims = good.clone();
    claims[11] = 1;
    assert_eq!(code(&claims), Rcode::FORMERR);
    // A name that points at itself.
    let mut pointer = good[..12].to_vec();
    pointer.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1]);
    assert_eq!(code(&pointer), Rcode::FORMERR);
    // Two OPT records.
    let mut opts = request("small.example.com", Some((1232, 0)));
    let opt = opts[opts.len() - 11..].to_vec();
    opts.extend(opt);
    opts[11] = 2;
    assert_eq!(code(&opts), Rcode::FORMERR);
    for opcode in [Opcode::UPDATE, Opcode::NOTIFY, Opcode::STATUS, Opcode::IQUERY] {
        let mut other = good.clone();
        domain::base::Header::for_message_slice_mut(&mut other).set_opcode(opcode);
        let reply = reply(&other, Transport::Udp);
        assert_eq!((reply.header().rcode(), reply.header().opcode()), (Rcode::NOTIMP, opcode));
    }
    // Nothing is sent to an answer, or to what has no header.
    let mut response = good.clone();
    domain::base::Header::for_message_slice_mut(&mut response).set_qr(true);
    assert_eq!(answer(&zones(), &response, Transport::Udp), None);
    assert_eq!(answer(&zones(), &good[..11], Transport::Udp), None);
}

#[test]
fn many_questions_are_refused_in_few_bytes() {
    // As many as fit a request: each the root, of no type and class. Found by the fuzz target `dns`.
    let mut many = request("small.example.com", None)[..12].to_vec();
    many[4..6].copy_from_slice(&240_u16.to_be_bytes());
    many[11] = 0;
    many.extend([0; 5 * 240]);
    for opcode in [Opcode::QUERY, Opcode::STATUS] {
        domain::base::Header::for_message_slice_mut(&mut many).set_opcode(opcode);
        let reply = reply(&many, Transport::Udp);
        assert!(reply.as_slice().len() <= 512, "{} bytes", reply.as_slice().len());
        assert_eq!((reply.header().id(), reply.header().opcode()), (4711, opcode));
        let code = if opcode == Opcode::QUERY { Rcode::FORMERR } else { Rcode::NOTIMP };
        assert_eq!((reply.header().qr(), reply.header().rcode()), (true, code));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(portolan_testkit::suites::cases(4000)) })]

    #[test]
    fn no_bytes_make_it_panic_and_every_answer_parses(
        mut bytes in prop::collection::vec(any::<u8>(), 0..80),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        noise in any::<bool>(),
    ) {
        if !noise {
            bytes = request("sMall.example.com", Some((512, 0)));
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        for transport in [Transport::Udp, Transport::Tcp] {
            if let Some(reply) = answer(&zones(), &bytes, transport) {
                let reply = Message::from_octets(reply).unwrap();
                prop_assert!(reply.header().qr());
                prop_assert_eq!(reply.header().id(), Message::from_octets(bytes.clone()).unwrap().header().id());
                for record in &reply {
                    prop_assert!(record.is_ok());
                }
            }
        }
    }
}

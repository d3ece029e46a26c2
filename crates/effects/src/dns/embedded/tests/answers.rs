//! What the server says, asked over UDP and TCP by the client of crate `domain`.

use std::{net::SocketAddr, str::FromStr};

use domain::{
    base::{Message, MessageBuilder, Name, Rtype, iana::Class},
    net::client::{
        dgram,
        protocol::UdpConnect,
        request::{RequestMessage, RequestMessageMulti, SendRequest},
        stream,
    },
    rdata::AllRecordData,
};
use portolan_model::dns::RecordType::{A, Aaaa, Cname, Txt};
use tokio::net::TcpStream;

use super::server;

async fn ask(server: SocketAddr, tcp: bool, name: &str, rtype: Rtype, class: Class) -> Message<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((Name::<Vec<u8>>::from_str(name).unwrap(), rtype, class)).unwrap();
    let request = RequestMessage::new(builder.into_message()).unwrap();
    let reply = if tcp {
        let socket = TcpStream::connect(server).await.unwrap();
        let (connection, transport) =
            stream::Connection::<RequestMessage<Vec<u8>>, RequestMessageMulti<Vec<u8>>>::new(socket);
        let running = tokio::spawn(transport.run());
        let reply = SendRequest::send_request(&connection, request).get_response().await.unwrap();
        drop(connection);
        running.abort();
        reply
    } else {
        let connection = dgram::Connection::new(UdpConnect::new(server));
        SendRequest::send_request(&connection, request).get_response().await.unwrap()
    };
    Message::from_octets(reply.as_slice().to_vec()).unwrap()
}

/// An answer in short: code and flags, then `section owner type data` a record; the serial and TTLs left out.
fn short(reply: &Message<Vec<u8>>) -> Vec<String> {
    let header = reply.header();
    let flags = [(header.aa(), " aa"), (header.tc(), " tc"), (header.ra(), " ra")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let mut lines = vec![format!("{}{flags}", header.rcode())];
    for (section, records) in [("answer", reply.answer().unwrap()), ("authority", reply.authority().unwrap())]
    {
        for record in records.into_records::<AllRecordData<_, _>>() {
            let record = record.unwrap();
            let data = match record.data() {
                AllRecordData::Soa(_) => String::new(),
                data => format!(" {}", data.to_string().trim_end_matches('.')),
            };
            lines.push(format!("{section} {} {}{data}", record.owner(), record.rtype()));
        }
    }
    lines
}

const RECORDS: &[(&str, portolan_model::dns::RecordType, &[&str])] = &[
    ("example.com", Txt, &["apex"]),
    ("app.example.com", A, &["192.0.2.2", "192.0.2.1"]),
    ("app.example.com", Aaaa, &["2001:db8::1"]),
    ("alias.example.com", Cname, &["app.example.com"]),
    ("chain.example.com", Cname, &["alias.example.com"]),
    ("away.example.com", Cname, &["lb.example.net"]),
    ("dangling.example.com", Cname, &["missing.example.com"]),
    ("towild.example.com", Cname, &["x.wild.example.com"]),
    ("loop1.example.com", Cname, &["loop2.example.com"]),
    ("loop2.example.com", Cname, &["loop1.example.com"]),
    ("a.b.c.example.com", A, &["192.0.2.3"]),
    ("*.wild.example.com", A, &["192.0.2.9"]),
    ("host.wild.example.com", Txt, &["own"]),
    ("deep.ent.wild.example.com", Txt, &["own"]),
    ("*.alias.wild2.example.com", Cname, &["app.example.com"]),
    ("x.sub.example.com", A, &["192.0.2.4"]),
    ("two\\ words\\.dot.example.com", Txt, &["odd"]),
];

#[tokio::test]
async fn every_kind_of_question_gets_its_answer() {
    let server = server(RECORDS).await;
    let soa = "authority example.com SOA";
    let cases: &[(&str, Rtype, &[&str])] = &[
        // Plain, with the question's case kept.
        (
            "aPP.Example.com",
            Rtype::A,
            &["NOERROR aa", "answer aPP.Example.com A 192.0.2.1", "answer aPP.Example.com A 192.0.2.2"],
        ),
        ("app.example.com", Rtype::AAAA, &["NOERROR aa", "answer app.example.com AAAA 2001:db8::1"]),
        // No data, against no such name.
        ("app.example.com", Rtype::TXT, &["NOERROR aa", soa]),
        ("app.example.com", Rtype::MX, &["NOERROR aa", soa]),
        ("app.example.com", Rtype::SOA, &["NOERROR aa", soa]),
        ("none.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        ("below.app.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        // Empty non-terminals exist.
        ("b.c.example.com", Rtype::A, &["NOERROR aa", soa]),
        ("c.example.com", Rtype::A, &["NOERROR aa", soa]),
        ("x.c.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        // The apex.
        ("example.com", Rtype::SOA, &["NOERROR aa", "answer example.com SOA"]),
        ("example.com", Rtype::NS, &["NOERROR aa", "answer example.com NS portolan-ns.example.com"]),
        ("portolan-ns.example.com", Rtype::A, &["NOERROR aa", "answer portolan-ns.example.com A 127.0.0.1"]),
        ("example.com", Rtype::TXT, &["NOERROR aa", "answer example.com TXT \"apex\""]),
        ("example.com", Rtype::A, &["NOERROR aa", soa]),
        // Aliases.
        (
            "alias.example.com",
            Rtype::AAAA,
            &[
                "NOERROR aa",
                "answer alias.example.com CNAME app.example.com",
                "answer app.example.com AAAA 2001:db8::1",
            ],
        ),
        (
            "chain.example.com",
            Rtype::AAAA,
            &[
                "NOERROR aa",
                "answer chain.example.com CNAME alias.example.com",
                "answer alias.example.com CNAME app.example.com",
                "answer app.example.com AAAA 2001:db8::1",
            ],
        ),
        (
            "alias.example.com",
            Rtype::CNAME,
            &["NOERROR aa", "answer alias.example.com CNAME app.example.com"],
        ),
        (
            "alias.example.com",
            Rtype::TXT,
            &["NOERROR aa", "answer alias.example.com CNAME app.example.com", soa],
        ),
        ("away.example.com", Rtype::A, &["NOERROR aa", "answer away.example.com CNAME lb.example.net"]),
        (
            "dangling.example.com",
            Rtype::A,
            &["NXDOMAIN aa", "answer dangling.example.com CNAME missing.example.com", soa],
        ),
        (
            "towild.example.com",
            Rtype::A,
            &[
                "NOERROR aa",
                "answer towild.example.com CNAME x.wild.example.com",
                "answer x.wild.example.com A 192.0.2.9",
            ],
        ),
        // Wildcards: any depth, but not the name itself, nor beside names that exist, nor below them.
        ("x.wild.example.com", Rtype::A, &["NOERROR aa", "answer x.wild.example.com A 192.0.2.9"]),
        ("x.y.Wild.example.com", Rtype::A, &["NOERROR aa", "answer x.y.Wild.example.com A 192.0.2.9"]),
        ("*.wild.example.com", Rtype::A, &["NOERROR aa", "answer *.wild.example.com A 192.0.2.9"]),
        ("x.wild.example.com", Rtype::TXT, &["NOERROR aa", soa]),
        ("wild.example.com", Rtype::A, &["NOERROR aa", soa]),
        ("host.wild.example.com", Rtype::A, &["NOERROR aa", soa]),
        ("x.host.wild.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        ("ent.wild.example.com", Rtype::A, &["NOERROR aa", soa]),
        ("x.ent.wild.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        ("x.*.wild.example.com", Rtype::A, &["NXDOMAIN aa", soa]),
        (
            "q.alias.wild2.example.com",
            Rtype::AAAA,
            &[
                "NOERROR aa",
                "answer q.alias.wild2.example.com CNAME app.example.com",
                "answer app.example.com AAAA 2001:db8::1",
            ],
        ),
        // ANY: one set.
        (
            "app.example.com",
            Rtype::ANY,
            &["NOERROR aa", "answer app.example.com A 192.0.2.1", "answer app.example.com A 192.0.2.2"],
        ),
        ("alias.example.com", Rtype::ANY, &["NOERROR aa", "answer alias.example.com CNAME app.example.com"]),
        ("none.example.com", Rtype::ANY, &["NXDOMAIN aa", soa]),
        // The longer zone answers; outside is refused.
        ("x.sub.example.com", Rtype::A, &["NOERROR aa", "answer x.sub.example.com A 192.0.2.4"]),
        ("none.sub.example.com", Rtype::A, &["NXDOMAIN aa", "authority sub.example.com SOA"]),
        ("example.org", Rtype::A, &["REFUSED"]),
        ("com", Rtype::A, &["REFUSED"]),
        ("xexample.com", Rtype::A, &["REFUSED"]),
        (".", Rtype::NS, &["REFUSED"]),
        ("example.com", Rtype::IXFR, &["REFUSED"]),
        ("app.example.com", Rtype::MAILB, &["NOTIMP"]),
        // Unusual characters.
        (
            "two\\032words\\046dot.example.com",
            Rtype::TXT,
            &["NOERROR aa", "answer two\\ words\\.dot.example.com TXT \"odd\""],
        ),
    ];
    for (name, rtype, expected) in cases {
        for tcp in [false, true] {
            let reply = ask(server.address(), tcp, name, *rtype, Class::IN).await;
            assert_eq!(&short(&reply), expected, "{name} {rtype} over {}", if tcp { "TCP" } else { "UDP" });
            assert!(reply.header().rd(), "RD is copied");
        }
    }
    let reply = ask(server.address(), false, "app.example.com", Rtype::A, Class::CH).await;
    assert_eq!(short(&reply), ["REFUSED"], "only class IN is served");
}

#[tokio::test]
async fn a_loop_of_aliases_ends() {
    let server = server(RECORDS).await;
    let reply = short(&ask(server.address(), false, "loop1.example.com", Rtype::A, Class::IN).await);
    assert_eq!(reply[0], "NOERROR aa");
    assert!(reply[1..].iter().all(|line| line.contains("CNAME") || line.contains("SOA")), "{reply:?}");
    assert!(reply.len() < 15, "{reply:?}");
}

#[tokio::test]
async fn negative_answers_may_be_kept_for_the_soa_minimum() {
    let server = server(RECORDS).await;
    let reply = ask(server.address(), false, "none.example.com", Rtype::A, Class::IN).await;
    let record = reply.authority().unwrap().into_records::<AllRecordData<_, _>>().next().unwrap().unwrap();
    let AllRecordData::Soa(soa) = record.data() else { panic!("{record}") };
    assert_eq!((record.ttl(), soa.minimum().as_secs()), (soa.minimum(), 30));
    assert_eq!(soa.rname().to_string(), "hostmaster.example.com");
}

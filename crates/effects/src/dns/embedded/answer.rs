//! From a request to its answer: RFC 1034 section 4.3.2, RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6604 (codes
//! after aliases), RFC 6891 (EDNS), RFC 8482 (ANY). A pure function of the zones and the request's bytes.

use std::collections::BTreeMap;

use domain::{
    base::{
        Message, MessageBuilder, Name as WireName, Rtype, Serial, ToName, Ttl,
        iana::{Class, Opcode, OptRcode, Rcode},
        message_builder::{PushError, RecordSectionBuilder, StaticCompressor},
        name::ToLabelIter,
        record::ComposeRecord,
    },
    rdata::{A, Aaaa, Cname, Ns, Soa},
};
use portolan_model::dns::RecordType;

use super::zone::{
    DEFAULT_TTL, Found, NAME_SERVER, NEGATIVE_TTL, Node, Path, Stored, Value, Zone, wire_name,
};
use crate::dns::query::rtype;

/// Largest answer over UDP, whatever a client announces, so that no answer is fragmented (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;
/// Aliases that are followed in one answer.
const ALIASES: usize = 8;
/// Bytes of an OPT record without options.
const OPT: usize = 11;

/// How the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Zones by apex.
pub type Zones = BTreeMap<Path, Zone>;

type Wire = WireName<Vec<u8>>;
type Builder = MessageBuilder<StaticCompressor<Vec<u8>>>;

/// A record ready to be written.
enum Record<'z> {
    Data(Wire, &'z Stored, &'z Value),
    Soa(&'z Zone, u32),
    Ns(&'z Zone),
}

/// What is said, before it is written.
struct Reply<'z> {
    rcode: Rcode,
    authoritative: bool,
    answer: Vec<Record<'z>>,
    authority: Vec<Record<'z>>,
}

/// EDNS as the client speaks it.
struct Edns {
    payload: u16,
    version: u8,
    dnssec_ok: bool,
}

/// Answers a request; `None` where nothing may be sent: no DNS header, or an answer instead of a request (answering those
/// makes two servers talk for ever).
pub fn answer(zones: &Zones, request: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let message = Message::from_slice(request).ok()?;
    if message.header().qr() {
        return None;
    }
    let (edns, reply) = match read_edns(message) {
        Err(()) => (None, Err(OptRcode::FORMERR)),
        Ok(Some(edns)) if edns.version > 0 => (Some(edns), Err(OptRcode::BADVERS)),
        Ok(edns) => (edns, decide(zones, message)),
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(code) => return write_error(message, code, edns.as_ref()),
    };
    let limit = match (transport, &edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(edns)) => usize::from(edns.payload.clamp(512, UDP_PAYLOAD)),
    };
    match write(message, &reply, edns.as_ref(), limit) {
        Ok(bytes) => Some(bytes),
        Err(_) if transport == Transport::Udp => {
            // RFC 2181 section 9: a cut answer is empty, the client asks again over TCP.
            let short = Reply { answer: Vec::new(), authority: Vec::new(), ..reply };
            let mut bytes = write(message, &short, edns.as_ref(), limit).ok()?;
            domain::base::Header::for_message_slice_mut(&mut bytes).set_tc(true);
            Some(bytes)
        }
        Err(_) => write_error(message, OptRcode::SERVFAIL, edns.as_ref()),
    }
}

/// Reads the OPT record, and with it the whole message: what cannot be parsed is answered FORMERR.
fn read_edns(message: &Message<[u8]>) -> Result<Option<Edns>, ()> {
    let mut found = None;
    let counts = message.header_counts();
    if message.question().count() != usize::from(counts.qdcount()) || message.question().any(|q| q.is_err()) {
        return Err(());
    }
    for record in message {
        let (record, _) = record.map_err(|_| ())?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        let record = record.into_record::<domain::base::opt::Opt<_>>().map_err(|_| ())?.ok_or(())?;
        let opt = domain::base::opt::OptRecord::from_record(record);
        let edns =
            Edns { payload: opt.udp_payload_size(), version: opt.version(), dnssec_ok: opt.dnssec_ok() };
        if found.replace(edns).is_some() {
            return Err(());
        }
    }
    Ok(found)
}

fn decide<'z>(zones: &'z Zones, message: &Message<[u8]>) -> Result<Reply<'z>, OptRcode> {
    if message.header().opcode() != Opcode::QUERY {
        return Err(OptRcode::NOTIMP);
    }
    let question = message.sole_question().map_err(|_| OptRcode::FORMERR)?;
    let qname: Wire = question.qname().to_name();
    let qtype = question.qtype();
    match qtype {
        Rtype::OPT | Rtype::TSIG => return Err(OptRcode::FORMERR),
        Rtype::AXFR | Rtype::IXFR => return Err(OptRcode::REFUSED),
        Rtype::MAILA | Rtype::MAILB => return Err(OptRcode::NOTIMP),
        _ => {}
    }
    let path = path_of(&qname);
    // The longest zone that holds the name: from the name itself upwards.
    let zone = (1..=path.len()).rev().find_map(|depth| zones.get(&path[..depth]));
    let zone = zone.filter(|_| question.qclass() == Class::IN).ok_or(OptRcode::REFUSED)?;
    Ok(look_up(zone, qname, path, qtype))
}

fn path_of(name: &Wire) -> Path {
    let mut path: Path = name
        .iter_labels()
        .filter(|label| !label.is_root())
        .map(|label| label.as_slice().to_ascii_lowercase())
        .collect();
    path.reverse();
    path
}

fn look_up(zone: &Zone, qname: Wire, qpath: Path, qtype: Rtype) -> Reply<'_> {
    let mut reply =
        Reply { rcode: Rcode::NOERROR, authoritative: true, answer: Vec::new(), authority: Vec::new() };
    let (mut owner, mut at) = (qname, qpath);
    for _ in 0..=ALIASES {
        let node = match zone.find(&at) {
            Found::Node(node) => node,
            Found::Missing => {
                reply.rcode = Rcode::NXDOMAIN;
                break;
            }
        };
        let alias = node.get(&RecordType::Cname).filter(|_| qtype != Rtype::CNAME && qtype != Rtype::ANY);
        if let Some((stored, target)) = alias.and_then(|stored| Some((stored, alias_target(stored)?))) {
            reply.answer.extend(stored.values.iter().map(|value| Record::Data(owner.clone(), stored, value)));
            at = path_of(target);
            if !zone.holds(&at) {
                return reply;
            }
            owner = target.clone();
            continue;
        }
        collect(zone, node, &owner, &at, qtype, &mut reply);
        if reply.answer.last().is_some_and(|last| last.is_about(&at)) {
            return reply;
        }
        break;
    }
    // NXDOMAIN or no data: the SOA says for how long that may be believed.
    reply.authority.push(Record::Soa(zone, NEGATIVE_TTL));
    reply
}

fn alias_target(stored: &Stored) -> Option<&Wire> {
    stored.values.iter().find_map(|value| if let Value::Cname(target) = value { Some(target) } else { None })
}

/// The records of a name that answer a type; for ANY one set of it (RFC 8482 section 4.1).
fn collect<'z>(
    zone: &'z Zone,
    node: &'z Node,
    owner: &Wire,
    at: &[Vec<u8>],
    qtype: Rtype,
    reply: &mut Reply<'z>,
) {
    let any = qtype == Rtype::ANY;
    if at == zone.apex && (any || qtype == Rtype::SOA) {
        reply.answer.push(Record::Soa(zone, DEFAULT_TTL));
        return;
    }
    if at == zone.apex && qtype == Rtype::NS {
        reply.answer.push(Record::Ns(zone));
        return;
    }
    if let Some((_, stored)) = node.iter().find(|(r#type, _)| any || rtype(**r#type) == qtype) {
        reply.answer.extend(stored.values.iter().map(|value| Record::Data(owner.clone(), stored, value)));
    }
}

impl Record<'_> {
    fn is_about(&self, at: &[Vec<u8>]) -> bool {
        match self {
            Record::Data(owner, ..) => path_of(owner) == at,
            Record::Soa(zone, _) | Record::Ns(zone) => zone.apex == at,
        }
    }

    fn push(
        &self,
        section: &mut impl RecordSectionBuilder<StaticCompressor<Vec<u8>>>,
    ) -> Result<(), PushError> {
        // Zone names are valid since the zone was made.
        let named = |text: &str| wire_name(text).unwrap_or_else(|_| Wire::root_vec());
        match self {
            Record::Data(owner, stored, value) => {
                let ttl = Ttl::from_secs(stored.ttl);
                match value {
                    Value::A(ip) => push(section, (owner, ttl, A::new(*ip))),
                    Value::Aaaa(ip) => push(section, (owner, ttl, Aaaa::new(*ip))),
                    Value::Cname(target) => push(section, (owner, ttl, Cname::new(target))),
                    Value::Txt(text) => push(section, (owner, ttl, text)),
                }
            }
            Record::Ns(zone) => {
                let server = named(&format!("{NAME_SERVER}.{}", zone.name));
                push(section, (named(&zone.name), Ttl::from_secs(DEFAULT_TTL), Ns::new(server)))
            }
            Record::Soa(zone, ttl) => {
                let secs = Ttl::from_secs;
                let soa = Soa::new(
                    named(&format!("{NAME_SERVER}.{}", zone.name)),
                    named(&format!("hostmaster.{}", zone.name)),
                    Serial(zone.serial),
                    secs(3600),
                    secs(600),
                    secs(86400),
                    secs(NEGATIVE_TTL),
                );
                push(section, (named(&zone.name), secs(*ttl), soa))
            }
        }
    }
}

fn push(
    section: &mut impl RecordSectionBuilder<StaticCompressor<Vec<u8>>>,
    record: impl ComposeRecord,
) -> Result<(), PushError> {
    section.push(record)
}

fn builder() -> Result<Builder, PushError> {
    MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(512)))
        .map_err(|_| PushError::ShortBuf)
}

fn write(
    request: &Message<[u8]>,
    reply: &Reply<'_>,
    edns: Option<&Edns>,
    limit: usize,
) -> Result<Vec<u8>, PushError> {
    let mut builder = builder()?;
    builder.set_push_limit(limit - if edns.is_some() { OPT } else { 0 });
    let mut answer = builder.start_answer(request, reply.rcode)?;
    answer.header_mut().set_aa(reply.authoritative);
    for record in &reply.answer {
        record.push(&mut answer)?;
    }
    let mut authority = answer.authority();
    for record in &reply.authority {
        record.push(&mut authority)?;
    }
    let mut additional = authority.additional();
    additional.clear_push_limit();
    push_opt(&mut additional, edns, OptRcode::from(reply.rcode))?;
    Ok(additional.finish().into_target())
}

fn write_error(request: &Message<[u8]>, code: OptRcode, edns: Option<&Edns>) -> Option<Vec<u8>> {
    let answer = builder().ok()?.start_error(request, code.rcode());
    let mut additional = answer.additional();
    push_opt(&mut additional, edns, code).ok()?;
    Some(additional.finish().into_target())
}

fn push_opt(
    additional: &mut domain::base::message_builder::AdditionalBuilder<StaticCompressor<Vec<u8>>>,
    edns: Option<&Edns>,
    code: OptRcode,
) -> Result<(), PushError> {
    let Some(edns) = edns else { return Ok(()) };
    additional.opt(|opt| {
        opt.set_udp_payload_size(UDP_PAYLOAD);
        // RFC 3225 section 3: the bit is copied, although nothing is signed here.
        opt.set_dnssec_ok(edns.dnssec_ok);
        opt.set_rcode(code);
        Ok(())
    })
}

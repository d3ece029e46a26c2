//! From a request to its answer: RFC 1034 section 4.3.2, RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6604 (codes
//! after aliases), RFC 6891 (EDNS), RFC 8482 (ANY). A pure function of the zones and the request's bytes.

use std::collections::BTreeMap;

use domain::base::{
    Message, Name as WireName, Rtype, ToName,
    iana::{Class, Opcode, OptRcode, Rcode},
    name::ToLabelIter,
};
use portolan_model::dns::{RecordSet, RecordType};

use super::{
    write::{write, write_error},
    zone::{DEFAULT_TTL, Found, NEGATIVE_TTL, Node, Path, Value, Zone, ttl, values},
};
use crate::dns::query::rtype;

/// Largest answer over UDP, whatever a client announces, so that no answer is fragmented (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;
/// Aliases that are followed in one answer.
const ALIASES: usize = 8;

/// How the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Zones by apex.
pub type Zones = BTreeMap<Path, Zone>;

type Wire = WireName<Vec<u8>>;

/// A record ready to be written.
pub enum Record<'z> {
    /// Owner, TTL, value.
    Data(Wire, u32, Value),
    Soa(&'z Zone, u32),
    Ns(&'z Zone),
}

/// What is said, before it is written.
pub struct Reply<'z> {
    pub rcode: Rcode,
    pub authoritative: bool,
    pub answer: Vec<Record<'z>>,
    pub authority: Vec<Record<'z>>,
}

/// EDNS as the client speaks it.
pub struct Edns {
    pub payload: u16,
    pub version: u8,
    pub dnssec_ok: bool,
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

pub fn path_of(name: &Wire) -> Path {
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
        let alias = node.get(RecordType::Cname).filter(|_| qtype != Rtype::CNAME && qtype != Rtype::ANY);
        if let Some((set, target)) = alias.and_then(|set| Some((set, alias_target(set)?))) {
            reply.answer.extend(records(set, &owner));
            at = path_of(&target);
            if !zone.holds(&at) {
                return reply;
            }
            owner = target;
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

fn alias_target(set: &RecordSet) -> Option<Wire> {
    values(set).find_map(|value| if let Value::Cname(target) = value { Some(target) } else { None })
}

fn records<'z>(set: &RecordSet, owner: &Wire) -> Vec<Record<'z>> {
    values(set).map(|value| Record::Data(owner.clone(), ttl(set), value)).collect()
}

/// The records of a name that answer a type; for ANY one set of it (RFC 8482 section 4.1).
fn collect<'z>(
    zone: &'z Zone,
    node: &Node,
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
    if let Some(set) = node.sets().find(|set| any || rtype(set.r#type) == qtype) {
        reply.answer.extend(records(set, owner));
    }
}

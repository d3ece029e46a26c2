//! Replies as bytes.

use domain::{
    base::{
        Message, MessageBuilder, Name as WireName, Serial, Ttl,
        iana::OptRcode,
        message_builder::{AdditionalBuilder, PushError, RecordSectionBuilder, StaticCompressor},
        record::ComposeRecord,
    },
    rdata::{A, Aaaa, Cname, Ns, Soa},
};

use super::{
    answer::{Edns, Record, Reply, UDP_PAYLOAD, path_of},
    zone::{DEFAULT_TTL, NAME_SERVER, NEGATIVE_TTL, Value, wire_name},
};

/// Bytes of an OPT record without options.
const OPT: usize = 11;

type Wire = WireName<Vec<u8>>;
type Builder = MessageBuilder<StaticCompressor<Vec<u8>>>;

impl Record<'_> {
    /// Whether the record's owner is that name.
    pub fn is_about(&self, at: &[Vec<u8>]) -> bool {
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
            Record::Data(owner, ttl, value) => {
                let ttl = Ttl::from_secs(*ttl);
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

/// Writes a reply of at most `limit` bytes.
pub fn write(
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

/// Writes a reply that has only a code.
pub fn write_error(request: &Message<[u8]>, code: OptRcode, edns: Option<&Edns>) -> Option<Vec<u8>> {
    let mut builder = builder().ok()?;
    // Of many questions the answer would be longer than a client can take (512 bytes over UDP): then none is repeated.
    let answer = if request.header_counts().qdcount() == 1 {
        builder.start_error(request, code.rcode())
    } else {
        let header = builder.header_mut();
        header.set_id(request.header().id());
        header.set_qr(true);
        header.set_opcode(request.header().opcode());
        header.set_rd(request.header().rd());
        header.set_rcode(code.rcode());
        builder.answer()
    };
    let mut additional = answer.additional();
    push_opt(&mut additional, edns, code).ok()?;
    Some(additional.finish().into_target())
}

fn push_opt(
    additional: &mut AdditionalBuilder<StaticCompressor<Vec<u8>>>,
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

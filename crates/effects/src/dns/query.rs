//! Questions to one authoritative server, without recursion and without a cache: UDP first, TCP where the answer is
//! truncated (RFC 7766).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use domain::{
    base::{Message, MessageBuilder, Name as WireName, Rtype, iana::Rcode},
    rdata::AllRecordData,
};
use portolan_model::{
    Name,
    dns::{RecordSet, RecordType, normal_name},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// How long one attempt waits for its answer.
const ATTEMPT: Duration = Duration::from_secs(2);
/// UDP attempts: a lost packet is normal, a lost server is not.
const ATTEMPTS: usize = 2;
/// UDP payload size that is announced, and the size of the receive buffer (DNS flag day 2020).
const PAYLOAD: u16 = 1232;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The name is no domain name.
    #[error("{name:?} is not a domain name")]
    Name {
        /// As given.
        name: String,
    },
    /// Nothing came back in time.
    #[error("{server} did not answer")]
    Silent {
        /// Who was asked.
        server: SocketAddr,
    },
    /// The socket failed.
    #[error("{server} cannot be reached: {why}")]
    Unreachable {
        /// Who was asked.
        server: SocketAddr,
        /// The system's words.
        why: String,
    },
    /// What came back is no answer to the question.
    #[error("{server} sent something that is no DNS answer to the question")]
    Malformed {
        /// Who was asked.
        server: SocketAddr,
    },
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Response code.
    pub rcode: Rcode,
    /// Whether the server says that it is authoritative (AA).
    pub authoritative: bool,
    /// Sets of the answer section, of the managed types, aliases that were followed included; sorted.
    pub sets: Vec<RecordSet>,
}

impl Answer {
    /// All values of a type in the answer, whatever alias led to them.
    pub fn values(&self, r#type: RecordType) -> impl Iterator<Item = &str> {
        self.sets
            .iter()
            .filter(move |set| set.r#type == r#type)
            .flat_map(|set| &set.values)
            .map(String::as_str)
    }
}

/// Whether every server answers with authority and `value` among the values; all are asked at once.
pub async fn visible(servers: &[SocketAddr], fqdn: &str, r#type: RecordType, value: &str) -> bool {
    let expected = RecordSet::new("", r#type, None, [value]).values;
    let answers = futures::future::join_all(servers.iter().map(|server| ask(*server, fqdn, r#type))).await;
    !answers.is_empty()
        && answers.iter().all(|answer| match answer {
            Ok(answer) => {
                answer.authoritative && answer.values(r#type).any(|found| expected.iter().any(|e| e == found))
            }
            Err(_) => false,
        })
}

/// Asks one server one question.
///
/// # Errors
/// [`AskError`]. An answer with an error code (NXDOMAIN, REFUSED) is an answer.
pub async fn ask(server: SocketAddr, name: &str, r#type: RecordType) -> Result<Answer, AskError> {
    let malformed = || AskError::Malformed { server };
    let reply = exchange(server, &of_type(name, rtype(r#type))?).await?;
    read(&reply).ok_or_else(malformed)
}

/// One question with its answer, over TCP where it has no room in a datagram.
async fn exchange(server: SocketAddr, request: &Message<Vec<u8>>) -> Result<Message<Vec<u8>>, AskError> {
    let malformed = || AskError::Malformed { server };
    let reply = over_udp(server, request).await?;
    if !reply.header().tc() {
        return Ok(reply);
    }
    let wait = timeout(ATTEMPT * 2, over_tcp(server, request)).await;
    let reply = wait
        .map_err(|_| AskError::Silent { server })?
        .map_err(|e| AskError::Unreachable { server, why: e.to_string() })
        .and_then(|bytes| Message::from_octets(bytes).map_err(|_| malformed()))?;
    if reply.is_answer(request) { Ok(reply) } else { Err(malformed()) }
}

/// A zone, as a server that answers for it describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, in normal form.
    pub name: Name,
    /// Names of its servers, with the addresses that came with them.
    pub servers: Vec<(Name, Vec<IpAddr>)>,
}

/// The zone that holds a name, which need not be there, and who answers for it (RFC 2308 section 3: a negative answer brings the
/// zone's SOA).
///
/// # Errors
/// One sentence: why it is not known.
pub async fn zone_of(server: SocketAddr, name: &str) -> Result<Zone, String> {
    let told = |error: AskError| error.to_string();
    let malformed = || AskError::Malformed { server }.to_string();
    let soa = exchange(server, &of_type(name, Rtype::SOA).map_err(told)?).await.map_err(told)?;
    let header = soa.header();
    if !header.aa() || !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
        return Err(format!(
            "{server} does not answer for {name} ({}): it holds no zone for it",
            header.rcode()
        ));
    }
    let sections = [soa.answer(), soa.authority()];
    let mut found = None;
    for section in sections {
        for record in section.map_err(|_| malformed())?.into_records::<AllRecordData<_, _>>() {
            let record = record.map_err(|_| malformed())?;
            if matches!(record.data(), AllRecordData::Soa(_)) {
                found = normal_name(&record.owner().to_string()).ok();
            }
        }
        if found.is_some() {
            break;
        }
    }
    let zone = found.ok_or_else(|| format!("{server} names no zone of {name}"))?;
    let ns = exchange(server, &of_type(&zone, Rtype::NS).map_err(told)?).await.map_err(told)?;
    let mut servers: Vec<(Name, Vec<IpAddr>)> = Vec::new();
    for record in ns.answer().map_err(|_| malformed())?.into_records::<AllRecordData<_, _>>() {
        if let AllRecordData::Ns(ns) = record.map_err(|_| malformed())?.data()
            && let Ok(name) = normal_name(&ns.nsdname().to_string())
        {
            servers.push((name, Vec::new()));
        }
    }
    for record in ns.additional().map_err(|_| malformed())?.into_records::<AllRecordData<_, _>>() {
        let Ok(record) = record else { continue };
        let address: IpAddr = match record.data() {
            AllRecordData::A(a) => a.addr().into(),
            AllRecordData::Aaaa(aaaa) => aaaa.addr().into(),
            _ => continue,
        };
        let owner = normal_name(&record.owner().to_string()).unwrap_or_default();
        servers.iter_mut().filter(|(name, _)| **name == *owner).for_each(|(_, all)| all.push(address));
    }
    Ok(Zone { name: zone, servers })
}

/// Type on the wire.
pub(super) const fn rtype(r#type: RecordType) -> Rtype {
    match r#type {
        RecordType::A => Rtype::A,
        RecordType::Aaaa => Rtype::AAAA,
        RecordType::Cname => Rtype::CNAME,
        RecordType::Txt => Rtype::TXT,
    }
}

fn of_type(name: &str, r#type: Rtype) -> Result<Message<Vec<u8>>, AskError> {
    let bad = || AskError::Name { name: name.to_owned() };
    let name = normal_name(name).map_err(|_| bad())?;
    let name = WireName::<Vec<u8>>::from_str(&format!("{name}.")).map_err(|_| bad())?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_random_id();
    let mut builder = builder.question();
    builder.push((&name, r#type)).map_err(|_| bad())?;
    let mut builder = builder.additional();
    builder
        .opt(|opt| {
            opt.set_udp_payload_size(PAYLOAD);
            Ok(())
        })
        .map_err(|_| bad())?;
    Ok(builder.into_message())
}

async fn over_udp(server: SocketAddr, request: &Message<Vec<u8>>) -> Result<Message<Vec<u8>>, AskError> {
    let unreachable = |e: std::io::Error| AskError::Unreachable { server, why: e.to_string() };
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A fresh socket for each question: the source port is part of what a forger must guess (RFC 5452).
    let socket = UdpSocket::bind(any).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    for _ in 0..ATTEMPTS {
        socket.send(request.as_slice()).await.map_err(unreachable)?;
        let answer = timeout(ATTEMPT, async {
            let mut buffer = vec![0; usize::from(PAYLOAD)];
            loop {
                let length = socket.recv(&mut buffer).await?;
                let Ok(message) = Message::from_octets(buffer[..length].to_vec()) else { continue };
                if message.is_answer(request) {
                    return Ok(message);
                }
            }
        });
        if let Ok(answer) = answer.await {
            return answer.map_err(unreachable);
        }
    }
    Err(AskError::Silent { server })
}

async fn over_tcp(server: SocketAddr, request: &Message<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(request.as_slice().len()).map_err(std::io::Error::other)?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(request.as_slice());
    stream.write_all(&out).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// What an answer says; `None` if it is no DNS message.
pub(crate) fn read(reply: &Message<Vec<u8>>) -> Option<Answer> {
    let mut values: Vec<(Name, RecordType, u32, String)> = Vec::new();
    for record in reply.answer().ok()?.into_records::<AllRecordData<_, _>>() {
        let record = record.ok()?;
        let (r#type, value) = match record.data() {
            AllRecordData::A(a) => (RecordType::A, a.addr().to_string()),
            AllRecordData::Aaaa(aaaa) => (RecordType::Aaaa, aaaa.addr().to_string()),
            AllRecordData::Cname(cname) => (RecordType::Cname, cname.cname().to_string()),
            AllRecordData::Txt(txt) => {
                let bytes: Vec<u8> = txt.iter().flatten().copied().collect();
                (RecordType::Txt, String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => continue,
        };
        let owner = normal_name(&record.owner().to_string()).ok()?;
        values.push((owner, r#type, record.ttl().as_secs(), value));
    }
    values.sort();
    let sets = values.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)).map(|chunk| {
        let values = chunk.iter().map(|(.., value)| value.clone());
        RecordSet::new(chunk[0].0.clone(), chunk[0].1, Some(chunk[0].2), values)
    });
    let sets = sets.collect();
    let header = reply.header();
    Some(Answer { rcode: header.rcode(), authoritative: header.aa(), sets })
}

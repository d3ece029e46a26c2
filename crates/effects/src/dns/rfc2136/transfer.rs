//! Zone transfers (RFC 5936, RFC 1995): the whole zone once, then what changed since.

use bytes::Bytes;
use domain::{
    base::{
        Message, Name as WireName, Rtype, Serial, Ttl,
        iana::{Opcode, Rcode},
        message_builder::AdditionalBuilder,
        rdata::RecordData as _,
    },
    net::xfr::protocol::{IterationError, XfrResponseInterpreter},
    rdata::{Soa, ZoneRecordData},
    zonetree::types::ZoneUpdate,
};
use portolan_model::Name;

use super::{
    exchange::{Connection, Failure, message},
    zone::{Copy, Difference, Received},
};
use crate::dns::embedded::wire_name;

/// Most records of one zone, and most bytes of one transfer: what is longer is not taken for a zone to be managed from here.
const RECORDS: usize = 1_000_000;
const BYTES: usize = 256 * 1024 * 1024;

/// What a transfer brought.
#[derive(Default)]
struct Brought {
    /// It holds the zone from the start, not what changed.
    whole: bool,
    differences: Vec<Difference>,
    /// Serial from which the differences go, and to which.
    from: Option<u32>,
    serial: u32,
    bytes: usize,
}

/// Brings a copy to what the server holds, by what changed where that can be had. A transfer that does not come to its end
/// changes nothing; `None` is a copy that nobody made yet.
pub(super) async fn refresh(
    connection: &mut Connection<'_>,
    zone: &Name,
    copy: &mut Option<Copy>,
) -> Result<(), Failure> {
    if let Some(held) = copy {
        match transfer(connection, zone, Some(held.serial)).await {
            // Whoever sends one record a message (BIND: `transfer-format one-answer`) looks the same, and has more to send.
            Ok(brought) if brought.whole && brought.differences.is_empty() => connection.reopen().await?,
            Ok(brought) if brought.whole => {}
            Ok(brought) => {
                if follow(held, zone, &brought).is_ok() {
                    return Ok(());
                }
                tracing::warn!(%zone, "an incremental transfer does not fit what was read before; the zone is read anew");
            }
            // It cannot be had incrementally.
            Err(Failure::Code(Rcode::NOTIMP | Rcode::FORMERR)) => {}
            Err(failure) => return Err(failure),
        }
    }
    // Never half of each.
    *copy = None;
    let brought = transfer(connection, zone, None).await?;
    let mut made = Copy::default();
    follow(&mut made, zone, &brought).map_err(Failure::Lost)?;
    *copy = Some(made);
    Ok(())
}

fn follow(copy: &mut Copy, zone: &Name, brought: &Brought) -> Result<(), String> {
    if !brought.whole && brought.from.is_some_and(|from| from != copy.serial) {
        return Err("the differences begin at another serial".into());
    }
    for difference in &brought.differences {
        match difference {
            Difference::Added(record) => copy.add(zone, record)?,
            Difference::Removed(record) => copy.remove(zone, record)?,
        }
    }
    copy.serial = brought.serial;
    Ok(())
}

/// Reads a transfer to its end.
async fn transfer(
    connection: &mut Connection<'_>,
    zone: &Name,
    since: Option<u32>,
) -> Result<Brought, Failure> {
    let request = request(zone, since).map_err(Failure::Unreachable)?;
    let mut interpreter = XfrResponseInterpreter::new();
    let mut brought = Brought { whole: since.is_none(), ..Brought::default() };
    let mut first = true;
    let read = |message: Message<Bytes>| {
        brought.bytes += message.as_slice().len();
        if brought.bytes > BYTES || brought.differences.len() > RECORDS {
            return Err(format!(
                "zone {zone} is larger than {RECORDS} records or {} MiB, and is not read any further",
                BYTES >> 20
            ));
        }
        if std::mem::take(&mut first) {
            let serial =
                serial(&message).ok_or_else(|| format!("a transfer of {zone} without a SOA first"))?;
            brought.serial = serial;
            let records = message.header_counts().ancount();
            if let Some(since) = since
                && records == 1
            {
                // As it is; or the server tells nothing but its serial, and all is read again.
                brought.whole = serial != since;
                return Ok(true);
            }
        }
        take(&mut interpreter, message, &mut brought)
    };
    connection.ask_for_many(request, read).await?;
    Ok(brought)
}

fn take(
    interpreter: &mut XfrResponseInterpreter,
    message: Message<Bytes>,
    brought: &mut Brought,
) -> Result<bool, String> {
    let updates = interpreter.interpret_response(message);
    let updates = updates.map_err(|error| format!("a transfer that cannot be read: {error}"))?;
    for update in updates {
        match update {
            Ok(ZoneUpdate::DeleteAllRecords) => brought.whole = true,
            Ok(ZoneUpdate::BeginBatchDelete(record)) => {
                let ZoneRecordData::Soa(soa) = record.data() else { continue };
                brought.from = brought.from.or(Some(soa.serial().into_int()));
            }
            Ok(ZoneUpdate::BeginBatchAdd(_)) => {}
            Ok(ZoneUpdate::AddRecord(record)) => {
                // An incremental answer begins with a difference; anything else is the whole zone.
                brought.whole |= brought.from.is_none();
                brought.differences.push(Difference::Added(record));
            }
            Ok(ZoneUpdate::DeleteRecord(record)) => brought.differences.push(Difference::Removed(record)),
            Ok(ZoneUpdate::Finished(_)) => return Ok(true),
            Ok(_) => return Err("a transfer with a step that is not known".into()),
            Err(IterationError::SingleSoaIxfrTcpRetrySignal) => {
                brought.whole = true;
                return Ok(true);
            }
            Err(error) => return Err(format!("a transfer that cannot be read: {error:?}")),
        }
    }
    Ok(false)
}

/// Serial of the SOA that a transfer begins with.
fn serial(message: &Message<Bytes>) -> Option<u32> {
    let mut records = message.answer().ok()?.limit_to::<ZoneRecordData<_, _>>();
    let first: Received = records.next()?.ok()?;
    match first.data() {
        ZoneRecordData::Soa(soa) => Some(soa.serial().into_int()),
        other => {
            tracing::debug!(r#type = %other.rtype(), "a transfer begins with something else than a SOA");
            None
        }
    }
}

fn request(zone: &Name, since: Option<u32>) -> Result<AdditionalBuilder<Vec<u8>>, String> {
    let name = wire_name(zone)?;
    let full = |_| "the request does not fit into a message".to_owned();
    let mut question = message(Opcode::QUERY).question();
    let qtype = if since.is_some() { Rtype::IXFR } else { Rtype::AXFR };
    question.push((&name, qtype)).map_err(full)?;
    let mut authority = question.authority();
    if let Some(serial) = since {
        let root = WireName::<Vec<u8>>::root_vec();
        let zero = Ttl::from_secs(0);
        let soa = Soa::new(root.clone(), root, Serial(serial), zero, zero, zero, zero);
        authority.push((&name, zero, soa)).map_err(full)?;
    }
    Ok(authority.additional())
}

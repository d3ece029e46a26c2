//! Zones as plain data, and back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use portolan_model::{
    Name,
    dns::{Change, Content, Group, Precondition, RecordSet, normal_name},
};

use super::{
    answer::Zones,
    zone::{Zone, path},
};

/// Everything that the server holds, as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// Zones, sorted by name.
    pub zones: Vec<ZoneContents>,
}

/// One zone as plain data.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ZoneContents {
    /// The zone.
    pub zone: Name,
    /// SOA serial.
    pub serial: u32,
    /// Sorted by name and type; SOA, NS and the name server's host are made by the server and are not in here.
    pub sets: Vec<RecordSet>,
}

/// Why the server did not start, or does not take a zone.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The sockets could not be bound.
    #[error("the DNS server cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// The saved zones cannot be read.
    #[error("the DNS zones saved in {path} cannot be read: {why}; move the file away to start without them")]
    Saved {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A zone's name or content is not valid.
    #[error("zone {zone:?} cannot be served: {why}")]
    Zone {
        /// The zone.
        zone: Name,
        /// What is wrong.
        why: String,
    },
}

/// Adds an empty zone that is served from `address`; false if it is there already.
pub(super) fn add(zones: &mut Zones, zone: &Name, address: IpAddr) -> Result<bool, EmbeddedError> {
    let invalid = |why: String| EmbeddedError::Zone { zone: zone.clone(), why };
    let name = normal_name(zone).map_err(|why| invalid(why.to_string()))?;
    let new = Zone::new(&name, address).map_err(invalid)?;
    if zones.contains_key(&new.apex) {
        return Ok(false);
    }
    zones.insert(new.apex.clone(), new);
    Ok(true)
}

/// The zones that `contents` describes.
pub(crate) fn build(contents: &Contents, address: IpAddr) -> Result<Zones, EmbeddedError> {
    let mut zones = Zones::new();
    for from in &contents.zones {
        add(&mut zones, &from.zone, address)?;
        let invalid = |why| EmbeddedError::Zone { zone: from.zone.clone(), why };
        let apex = path(&from.zone).map_err(invalid)?;
        let Some(zone) = zones.get_mut(&apex) else { continue };
        let content = from.sets.iter().cloned().map(Content::Set);
        let changes = content.map(|content| Change { precondition: Precondition::Any, content });
        zone.apply(&Group { changes: changes.collect() }).map_err(invalid)?;
        zone.serial = from.serial.max(1);
    }
    Ok(zones)
}

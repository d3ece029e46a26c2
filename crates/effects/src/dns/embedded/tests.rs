#![allow(clippy::unwrap_used)]

mod answers;
mod bytes;
mod dig;
mod planned;
mod provider;

use portolan_model::dns::{Change, ChangeSet, Group, GroupResult, RecordSet, RecordType};

use super::{Contents, EmbeddedDns};
use crate::dns::DnsProvider;

/// Zones of the tests: `example.com` and, delegated to nobody, `sub.example.com`.
async fn server(records: &[(&str, RecordType, &[&str])]) -> EmbeddedDns {
    let zones = ["example.com".into(), "sub.example.com".into()];
    let server =
        EmbeddedDns::start("127.0.0.1:0".parse().unwrap(), &zones, &Contents::default()).await.unwrap();
    for (name, r#type, values) in records {
        let set = RecordSet::new(*name, *r#type, None, values.iter().copied());
        let zone = portolan_model::dns::zone_for(name, &zones).unwrap().clone();
        let groups = vec![Group { changes: vec![Change::create(set)] }];
        assert_eq!(server.apply(&ChangeSet { zone, groups }).await, [GroupResult::Applied], "{name}");
    }
    server
}

//! Changed wire rows become resources and virtual hosts: encoded once, for all streams.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::gateway::rows::{
    Cluster, Endpoints, TlsSecret, TrustedCa, VirtualHost, WireKey, WireListener, WireType, virtual_host_name,
};
use portolan_engine::Changes;
use portolan_model::{Name, NamespacedName};

use crate::{
    board::{Change, Wanted},
    encode, fault,
    resources::{Resource, Uses},
    tables::Host,
};

/// What steps changed and is not published yet.
#[derive(Debug, Default)]
pub struct Staged {
    flat: BTreeMap<WireKey, Option<Arc<Resource>>>,
    hosts: BTreeMap<(Name, Name), StagedHost>,
}

#[derive(Debug)]
struct StagedHost {
    host: Option<Arc<Host>>,
    /// Whether it was another than the wanted one in between: what was said of it is void then.
    touched: bool,
}

/// What a publication came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Resources and virtual hosts that changed, removed ones included.
    pub count: usize,
    /// Their size.
    pub bytes: usize,
}

impl Staged {
    /// Takes over the changes of a step; gives what of Envoy changes with them. `stand_in` gives the path of the socket that answers in
    /// place of a Service.
    pub fn take(
        &mut self,
        step: &Changes,
        wanted: &Wanted,
        stand_in: &mut dyn FnMut(&NamespacedName) -> String,
    ) -> Vec<WireKey> {
        let mut touched = Vec::new();
        let key = |r#type, name: &Name| WireKey { r#type, name: name.clone() };
        let mut put = |key: WireKey, resource: Option<Resource>| {
            let is = wanted.get(key.r#type, &key.name).map(|is| is.version);
            if self.flat.contains_key(&key) || is != resource.as_ref().map(|resource| resource.version) {
                touched.push(key.clone());
                self.flat.insert(key, resource.map(Arc::new));
            }
        };
        for change in step.of::<Cluster>() {
            let made = change.after.as_ref().map(|row| {
                let client = row.tls.as_ref().and_then(|tls| tls.client.clone());
                let made = Resource::of(&encode::cluster(row));
                match client {
                    Some(name) => made.using(Uses { secrets: vec![name], ..Uses::default() }),
                    None => made,
                }
            });
            put(key(WireType::Cluster, &change.key), made);
        }
        for change in step.of::<Endpoints>() {
            let made = change.after.as_ref().map(|row| {
                let row = fault::planted_endpoints(row);
                let echo = row.stand_in.as_ref().map(|_| stand_in(&row.service));
                Resource::of(&encode::endpoints(&row, echo.as_deref()))
            });
            put(key(WireType::Endpoints, &change.key), made);
        }
        for change in step.of::<TlsSecret>() {
            let made = change.after.as_ref().map(|row| Resource::of(&encode::tls_secret(row)));
            put(key(WireType::Secret, &change.key), made);
        }
        for change in step.of::<TrustedCa>() {
            let made = change.after.as_ref().map(|row| Resource::of(&encode::trusted_ca(row)));
            put(key(WireType::Secret, &change.key), made);
        }
        for change in step.of::<WireListener>() {
            let Some(row) = change.after.as_ref().or(change.before.as_ref()) else { continue };
            let made = change.after.as_ref().map(|row| Resource::of(&encode::listener(row)).using(uses(row)));
            put(key(WireType::Listener, &row.name), made);
        }
        for change in step.of::<VirtualHost>() {
            let (table, host) = &change.key;
            let made = change.after.as_ref().map(|row| Arc::new(Host::of(&fault::planted_host(row))));
            let is = wanted.host(table, host).map(|is| is.piece.version);
            let changed = is != made.as_ref().map(|made| made.piece.version);
            let before = self.hosts.get(&change.key).is_some_and(|before| before.touched);
            if made.is_some() && (changed || before) {
                touched.push(key(WireType::VirtualHost, &virtual_host_name(table, host)));
            }
            // The row is taken also if it comes to the same bytes: a refusal names its rules.
            self.hosts.insert(change.key.clone(), StagedHost { host: made, touched: changed || before });
        }
        touched
    }

    /// Whether there is nothing to publish.
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty() && self.hosts.is_empty()
    }

    /// Whether the resource goes.
    pub fn removes(&self, key: &WireKey) -> bool {
        self.flat.get(key).is_some_and(Option::is_none)
    }

    /// Puts everything where the streams see it. What went or changed and is again what they have is judged once more: nothing
    /// would be sent of it, and nobody would say how it stands.
    pub fn publish(&mut self, wanted: &mut Wanted) -> Published {
        let mut published = Published::default();
        for (key, resource) in std::mem::take(&mut self.flat) {
            let size = resource.as_ref().map_or(0, |resource| resource.body.len());
            if wanted.set(&key, resource) {
                published.count += 1;
                published.bytes += size;
            } else {
                wanted.judge_again(Change::Flat(key));
            }
        }
        for ((table, name), StagedHost { host, touched }) in std::mem::take(&mut self.hosts) {
            let size = host.as_ref().map_or(0, |host| host.piece.bytes.len());
            if wanted.set_host(&table, &name, host) {
                published.count += 1;
                published.bytes += size;
            } else if touched {
                wanted.judge_again(Change::Host(table, name));
            }
        }
        published
    }
}

fn uses(row: &WireListener) -> Uses {
    let serving = || row.chains.iter().filter(|chain| !chain.refuses());
    let requests = || serving().filter(|chain| chain.stream.is_none());
    let mut tables: Vec<Name> = requests().map(|chain| chain.routes.clone()).collect();
    let shares = serving().filter_map(|chain| chain.stream.as_ref()).flat_map(|shares| &shares.clusters);
    let mut clusters: Vec<Name> = shares.map(|(name, _)| name.clone()).collect();
    let mut secrets: Vec<Name> = serving().flat_map(|chain| chain.named().cloned()).collect();
    for names in [&mut tables, &mut secrets, &mut clusters] {
        names.sort();
        names.dedup();
    }
    Uses { gateway: Some(row.key.gateway.clone()), secrets, tables, clusters }
}

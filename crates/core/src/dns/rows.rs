//! Rows of the DNS room.

use std::collections::BTreeMap;

use portolan_model::{
    GatewayKey, Instant, Name, ObjectKey, Problem, RouteKey, RouteKind, dns::RecordSet, row,
};

use super::{Settings, WantedRecord, scope::Scope};
use crate::{gateway::rows::ListenerKey, gitops::adapters::UpdateServer};

/// Fact: what the DNS room is to do for one component. Without such a row nothing is desired and no zone is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// The external-dns component, by its Application; the empty name for a folder, or where there is none.
    pub key: Name,
    /// Whether records are made from routes at all.
    pub managed: bool,
    /// Kinds of routes whose names are published (external-dns `sources`).
    pub sources: Vec<RouteKind>,
    /// What it looks at.
    pub scope: Scope,
    /// How often each zone is compared with what is wanted although nothing changed, in seconds.
    pub interval_seconds: u64,
    /// Owner, policy, filters, registry names.
    pub plan: Settings,
    /// Where its records go in earnest, by who asks for that; else they go to the embedded zones.
    pub place: Place,
}
row!(DnsSettings, Name, "dns_settings");

/// The provider that a component names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `--provider`; empty for a folder.
    pub provider: Name,
    /// Namespace of the component: where its Secret stands.
    pub namespace: Name,
    /// The server of dynamic updates, of provider `rfc2136`.
    pub server: Option<UpdateServer>,
}

/// Fact: a record set that the provider's zone holds. Kept over restarts by the provider, it is what "published" means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRecord {
    /// Zone, and name and type of the set.
    pub key: PublishedKey,
    /// The set.
    pub set: RecordSet,
    /// Its registry TXT, if it has one.
    pub registry: Option<RecordSet>,
    /// Whether the registry names an owner of ours.
    pub ours: bool,
    /// The components whose owner it names.
    pub components: Vec<Name>,
}
row!(PublishedRecord, PublishedKey, "published_records");

/// Key of a published record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedKey {
    /// The zone.
    pub zone: Name,
    /// Name of the set.
    pub name: Name,
    /// Type of the set.
    pub r#type: portolan_model::dns::RecordType,
}

/// Fact: planning or writing found something wrong with a name; the empty name is for a zone as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProblem {
    /// Record name and the problem.
    pub key: (Name, Problem),
}
row!(RecordProblem, (Name, Problem), "record_problems");

/// Fact: whether the provider's own servers answer a name with what its zone holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Record name.
    pub key: Name,
    /// `Err` says what was answered instead.
    pub state: Result<(), String>,
}
row!(DnsAnswer, Name, "dns_answers");

/// Whether names may be published for a listener: acked by Envoy and, where TLS ends there, with a certificate that has
/// not expired. Narrow on purpose: many routes read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerGate {
    /// The listener.
    pub key: ListenerKey,
    /// Names that its certificate covers (`None` without TLS), or what is missing.
    pub open: Result<Option<Vec<Name>>, String>,
}
row!(ListenerGate, ListenerKey, "listener_gates");

/// Where names of a Gateway point: the `target` annotation, else its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTargets {
    /// The Gateway.
    pub key: GatewayKey,
    /// What each component sees of it, by component; without one that makes records it is empty.
    pub seen: BTreeMap<Name, GatewaySeen>,
    /// The Gateway or its class was removed and is kept for its records only: nothing is desired at it.
    pub leaving: bool,
}
row!(GatewayTargets, GatewayKey, "gateway_targets");

/// A Gateway as a component sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaySeen {
    /// IP addresses or names; empty while there is no address.
    pub targets: Vec<Name>,
    /// Why its filters leave out the Gateway or all of its targets.
    pub outside: Option<String>,
}

/// A route asks for a name at a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredRecord {
    /// Name, route, Gateway, component.
    pub key: (Name, RouteKey, GatewayKey, Name),
    /// Hostname under which the route serves the name; `None` if an annotation asks for a name that the route does not
    /// serve.
    pub host: Option<Name>,
    /// Targets; empty while the Gateway has no address.
    pub targets: Vec<Name>,
    /// TTL in seconds, if asked for.
    pub ttl: Option<u32>,
    /// Which of several record sets of the name it is (`set-identifier`); empty: the one.
    pub identifier: Name,
    /// Its weight among them (`aws-weight`).
    pub weight: Option<u32>,
    /// Why the filters leave the name or the route out; `None`: it is in scope.
    pub outside: Option<Outside>,
    /// Whether it may be published for the first time, or what is missing.
    pub gate: Result<(), String>,
}
row!(DesiredRecord, (Name, RouteKey, GatewayKey, Name), "desired_records");

/// Why the filters of a component leave a name out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// One sentence.
    pub why: String,
    /// By a filter that chooses among routes and Gateways, so it may well be meant; else by one of names.
    pub chosen: bool,
}

impl Outside {
    /// By a filter of routes or Gateways.
    pub fn chosen(why: String) -> Self {
        Self { why, chosen: true }
    }
}

/// Wanted: the record sets of a name, before conflicts between them are decided by [`super::plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedName {
    /// The name.
    pub key: Name,
    /// The component that publishes it.
    pub component: Name,
    /// What is wanted, after [`super::merge`]; never empty.
    pub records: Vec<WantedRecord>,
}
row!(WantedName, Name, "wanted_names");

/// How far a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The filters leave it out: nobody here publishes it.
    Outside,
    /// Not published yet: the gate is closed.
    Waiting,
    /// To be written into its zone.
    Writing,
    /// It cannot be written until somebody edits something.
    Refused,
    /// The policy forbids the change that would be needed: what stands stays.
    Kept,
    /// In its zone, and not answered yet.
    Asking,
    /// Answered by every server of the provider.
    Answered,
}

/// A name that routes ask for: desired record, gate, record, answer in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsState {
    /// The name.
    pub key: Name,
    /// Hostnames of routes that serve it.
    pub hosts: Vec<Name>,
    /// How far it is.
    pub stage: Stage,
    /// Why, one sentence.
    pub why: String,
}
row!(DnsState, Name, "dns_states");

/// Wanted: a removed route, listener, Gateway or GatewayClass whose records are gone, or whose time is up, is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// The kept copy of the route, or the marked Gateway or GatewayClass ([`super::drain`]).
    pub key: ObjectKey,
    /// Whether its time was up before its records were gone.
    pub late: bool,
    /// Until when it would have been kept.
    pub until: Instant,
}
row!(Departed, ObjectKey, "departed");

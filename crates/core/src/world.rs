//! All tables, and the rooms in order: the table of contents of the product.

use std::sync::Arc;

use portolan_engine::{Engine, Has, Index, Row, Rows, world};
use portolan_model::{
    Code, GatewayKey, Instant, Kind, Name, NamespacedName, ObjectKey, Problem, RouteKey, Severity,
    input::{
        AdmissionBinding, AdmissionPolicy, BackendTlsPolicy, Certificate, ConfigMap, EndpointSlice,
        EndpointsObject, Gateway, GatewayClass, InputProblems, Issuer, IssuerSpec, Judged, ListenerSet,
        Namespace, ReferenceGrant, Restriction, Route, SealedSecret, Secret, Service, SourceProblems,
        TlsSource,
    },
    intake::{Fact, Intake},
    row,
};

use crate::{
    certificates,
    certificates::rows::{
        AccountState, AccountWanted, CertificateState, Issuance, IssuanceKey, IssueFailure, IssueWanted,
        IssuerState, NeededSecret, OrderProgress, RealAcme, RecordWanted, Settings, ShimCertificate,
        ShimClaim, TemplateWanted, TemporaryWanted,
    },
    conditions,
    conditions::rows::{ListenerStatus, ObjectStatus},
    dns,
    dns::rows::{
        Departed, DesiredRecord, DnsAnswer, DnsSettings, DnsState, GatewayTargets, ListenerGate,
        PublishedRecord, RecordProblem, WantedName,
    },
    gateway,
    gateway::conflicts::{self, HostOfKind},
    gateway::operated::is_operated,
    gateway::rows::{
        Attachment, BackendTrust, ClientCertificate, ClientTrust, Cluster, ClusterUse, Contender,
        DialledBackends, Endpoints, ExpressionUse, GatewayAddress, GatewayListener, GatewayOwner,
        GatewayPorts, GatewayRestrictions, HostForce, HostRule, InCluster, ListenerCertificate,
        ListenerForce, ListenerHost, ListenerInForce, ListenerKey, ListenerSetState, ListenerState, LookInto,
        MergedListeners, Offer, OverBudget, ParentVerdict, RouteConflict, StreamHost, SystemRoots, TlsReady,
        TlsSecret, TlsUse, TrustedCa, Unenforced, Unread, Unresolved, VirtualHost, WireAck, WireListener,
        WirePending,
    },
    gitops,
    gitops::rows::{Kept, ObjectHealth, Unseen},
    infrastructure,
    infrastructure::rows::{FleetFailure, FleetSettings, FleetWanted},
    policy,
    policy::rows::{
        ActiveBinding, Case, CompiledPolicy, CutSecret, Denied, Judgement, Submitted, SubmittedCertificate,
        SubmittedClass, SubmittedEndpoints, SubmittedGateway, SubmittedGrant, SubmittedIssuer,
        SubmittedNamespace, SubmittedRoute, SubmittedSealed, SubmittedService, SubmittedSet, SubmittedSlice,
    },
    secrets,
    secrets::rows::{
        ComponentCredential, Mirror, MirrorClaim, MirrorKey, MirrorUnwanted, MirrorWanted, Reach,
        UnsealFailure, UnsealWanted,
    },
    status,
    status::rows::{EntryPoint, HostClaim, Probe},
};

/// A problem as a row: its own key, so that many rules may file problems and none can hide another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The problem.
    pub problem: Problem,
}
row!(Finding, Problem, "findings", problem);

/// Declares an index by an expression that lists the values of a row.
macro_rules! index {
    ($(#[$doc:meta])* $index:ident, $row:ty, $value:ty, $name:literal, |$r:ident| $values:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $index;
        impl Index for $index {
            type Row = $row;
            type Value = $value;
            const NAME: &'static str = $name;
            fn values($r: &$row, out: &mut Vec<$value>) {
                out.extend($values);
            }
        }
    };
}

index!(/** Grants by the namespace that grants. */
    GrantsByNamespace, ReferenceGrant, Name, "grants by namespace", |g| [g.key.namespace.clone()]);
index!(/** Slices by Service. */
    SlicesByService, EndpointSlice, NamespacedName, "slices by service", |s| [s.service.clone()]);
index!(/** GatewayListeners by Gateway. */
    ListenersByGateway, GatewayListener, GatewayKey, "listeners by gateway", |d| [d.key.gateway.clone()]);
index!(/** Listener certificates by Gateway. */
    CertificatesByGateway, ListenerCertificate, GatewayKey, "listener certificates by gateway",
    |c| [c.key.gateway.clone()]);
index!(/** Listener certificates by the Secret they serve. */
    CertificatesBySecret, ListenerCertificate, NamespacedName, "listener certificates by secret",
    |c| c.served.iter().map(|one| one.secret.clone()));
index!(/** Attachments by the listeners whose `attachedRoutes` they add to. */
    AttachmentsByListener, Attachment, ListenerKey, "attachments by listener", |a| a.counted.iter().cloned());
index!(/** Host rules by virtual host. */
    RulesByHost, HostRule, (Name, Name), "host rules by host", |r| [(r.key.routes.clone(), r.key.host.clone())]);
index!(/** Hosts of streams by the name of their chains. */
    StreamsByChain, StreamHost, Name, "stream hosts by chain", |s| [s.key.0.clone()]);
index!(/** Uses by cluster. */
    UsesByCluster, ClusterUse, Name, "uses by cluster", |u| [u.key.0.clone()]);
index!(/** Claims by hostname. */
    ClaimsByHost, HostClaim, Name, "claims by hostname", |c| [c.key.host.clone()]);
index!(/** Offers by each hostname that they offer to serve, with its listener and the route's kind. */
    OffersByHost, Offer, HostOfKind, "offers by hostname", |o| conflicts::hosts(o));
index!(/** The same by each wildcard that takes one of their hostnames. */
    OffersBeneath, Offer, HostOfKind, "offers by wildcard", |o| conflicts::above(o));
index!(/** Costs of expressions by the namespace that spends them. */
    ExpressionsByNamespace, ExpressionUse, Name, "expression uses by namespace", |e| [e.key.0.clone()]);
index!(/** Contenders by listener. */
    ContendersByListener, Contender, ListenerKey, "contenders by listener", |c| [c.key.0.clone()]);
index!(/** Restrictions that choose their targets by labels, by namespace; under no name those that look into all. */
    RestrictionsBySelector, Restriction, Name, "restrictions by selector",
    |r| (!r.selectors.is_empty()).then(|| if r.everywhere { Name::default() } else { r.key.name.namespace.clone() }));
index!(/** Restrictions by the object they target. */
    RestrictionsByTarget, Restriction, NamespacedName, "restrictions by target",
    |r| r.targets.iter().map(|t| t.name.clone()).collect::<Vec<_>>());
index!(/** Restrictions whose target cannot be read, by the namespace that they are taken for. */
    RestrictionsByNamespace, Restriction, Name, "restrictions by namespace",
    |r| r.whole.then(|| r.key.name.namespace.clone()));
index!(/** Certificates by the Secret they write. */
    CertificatesByTarget, Certificate, NamespacedName, "certificates by secret",
    |c| [NamespacedName::new(c.key.namespace.clone(), c.secret.clone())]);
index!(/** Issuances by Certificate. */
    IssuancesByCertificate, Issuance, NamespacedName, "issuances by certificate", |i| [i.key.0.clone()]);
index!(/** Claims by the Certificate that they ask for. */
    ShimClaimsByCertificate, ShimClaim, NamespacedName, "shim claims by certificate", |c| [c.key.0.clone()]);
index!(/** Records by the issuance that they are of. */
    RecordsByIssuance, RecordWanted, IssuanceKey, "records by issuance", |r| [r.issuance.clone()]);
index!(/** ListenerSets by the Gateway that they are for. */
    SetsByGateway, ListenerSetState, GatewayKey, "listener sets by gateway", |s| [s.gateway.clone()]);
index!(/** Policies of TLS to backends by the Service that they target. */
    BackendTlsByService, BackendTlsPolicy, NamespacedName, "backend tls policies by service",
    |p| p.targets.iter().filter(|t| t.kind.is("", "Service")).map(|t| t.name.clone()).collect::<Vec<_>>());
index!(/** Uses of policies of TLS to backends by policy. */
    TlsUsesByPolicy, TlsUse, NamespacedName, "backend tls uses by policy", |u| [u.key.0.clone()]);
index!(/** Certificates that Gateways show to backends by the Secret. */
    ClientCertificatesBySecret, ClientCertificate, NamespacedName, "client certificates by secret",
    |c| c.secret.iter().cloned());
index!(/** Every namespace, under one value. */
    AllNamespaces, Namespace, (), "all namespaces", |_n| [()]);
index!(/** Settings of every external-dns component, under one value. */
    AllDnsSettings, DnsSettings, (), "all dns settings", |_d| [()]);
index!(/** Issuers by the Secrets that they name; those of a ClusterIssuer without a namespace. */
IssuersBySecret, Issuer, NamespacedName, "issuers by secret", |i| {
    let names: Vec<&Name> = match &i.spec {
        IssuerSpec::Acme { account_key, solvers, .. } => {
            solvers.iter().flat_map(|s| &s.credentials).chain([account_key]).collect()
        }
        IssuerSpec::Ca { secret, .. } => vec![secret],
        IssuerSpec::SelfSigned { .. } | IssuerSpec::Unsupported(_) => vec![],
    };
    names.into_iter().map(|n| NamespacedName::new(i.key.0.namespace.clone(), n.clone())).collect::<Vec<_>>()
});
index!(/** Gateways by the Secrets that they serve. */
    GatewaysBySecret, Gateway, NamespacedName, "gateways by secret",
    |g| g.listeners.iter().filter_map(|l| l.tls.as_ref()).flat_map(|t| t.certificates.clone()).collect::<Vec<_>>());
index!(/** ListenerSets by the Secrets that they serve. */
    ListenerSetsBySecret, ListenerSet, NamespacedName, "listener sets by secret",
    |s| s.listeners.iter().filter_map(|l| l.tls.as_ref()).flat_map(|t| t.certificates.clone()).collect::<Vec<_>>());
index!(/** Claims by the mirror that they are for. */
    MirrorClaimsByMirror, MirrorClaim, MirrorKey, "mirror claims by mirror", |c| [c.key.mirror.clone()]);

index!(/** Desired records by name. */
    DesiredByName, DesiredRecord, Name, "desired records by name", |w| [w.key.0.clone()]);
index!(/** Desired records by route. */
    DesiredByRoute, DesiredRecord, RouteKey, "desired records by route", |w| [w.key.1.clone()]);
index!(/** Published records by name. */
    PublishedByName, PublishedRecord, Name, "published records by name", |p| [p.key.name.clone()]);
index!(/** Problems with records by name. */
    ProblemsByName, RecordProblem, Name, "record problems by name", |p| [p.key.0.clone()]);
index!(/** Names by the hostname that serves them. */
    StatesByHost, DnsState, Name, "dns states by host", |s| s.hosts.clone());
index!(/** Objects that may be parameters of a policy, by kind and namespace. */
    JudgedByKind, Judged, (Kind, Name), "parameters by kind",
    |j| (!NO_PARAMETERS.contains(&(&*j.key.kind.group, &*j.key.kind.kind))).then(|| (j.key.kind.clone(), j.key.name.namespace.clone())));
index!(/** CustomResourceDefinitions by the kind that they define. */
    DefinitionsByKind, Judged, Kind, "definitions by kind", |j| j.defines.as_ref().map(|defines| defines.kind.clone()));
index!(/** Objects that an operator may act on in a cluster, by namespace. */
    OperatedByNamespace, Judged, Name, "operated by namespace",
    |j| is_operated(&j.key).then(|| j.key.name.namespace.clone()));
index!(/** Sources that were not read, by the namespace that they bring objects into (empty: any), and all of them. */
    UnseenByNamespace, Unseen, Name, "unseen by namespace",
    |u| [u.namespace.clone(), Name::new(gitops::unseen::ALL)]);
index!(/** Objects from which a controller that does not run here makes Secrets, by Secret. */
    MakersBySecret, Judged, NamespacedName, "makers by secret", |j| secrets::elsewhere::made(j));
index!(/** Bindings by policy. */
    BindingsByPolicy, AdmissionBinding, Name, "bindings by policy", |b| [b.policy.clone()]);
index!(/** Bindings by resource that they judge. */
    BindingsByResource, ActiveBinding, Name, "bindings by resource", |b| b.resources.iter().cloned());
index!(/** Secrets of denied Certificates by Secret. */
    CutsBySecret, CutSecret, NamespacedName, "cut secrets by secret", |c| [c.key.0.clone()]);
index!(/** Judgements by object. */
    JudgementsByObject, Judgement, ObjectKey, "judgements by object", |d| [d.key.0.clone()]);

/// Kinds of which there are many, and whose objects are no parameter that a policy would choose by labels.
const NO_PARAMETERS: [(&str, &str); 9] = [
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("cert-manager.io", "Certificate"),
    ("", "Secret"),
    ("", "Service"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("bitnami.com", "SealedSecret"),
];

world! {
    /// Every table. Facts from objects come by object: what one yields is replaced as a whole.
    pub struct World from ObjectKey {
        // facts from objects
        namespaces: Namespace [AllNamespaces],
        restrictions: Restriction [RestrictionsByTarget, RestrictionsBySelector, RestrictionsByNamespace], secrets: Secret [], config_maps: ConfigMap [],
        backend_tls_policies: BackendTlsPolicy [BackendTlsByService],
        tls_sources: TlsSource [], input_problems: InputProblems [], source_problems: SourceProblems [], admission_policies: AdmissionPolicy [],
        admission_bindings: AdmissionBinding [BindingsByPolicy], judged: Judged [JudgedByKind, DefinitionsByKind, OperatedByNamespace, MakersBySecret], submitted_gateways: SubmittedGateway [],
        submitted_routes: SubmittedRoute [], submitted_certificates: SubmittedCertificate [],
        submitted_classes: SubmittedClass [], submitted_grants: SubmittedGrant [], submitted_sets: SubmittedSet [], submitted_services: SubmittedService [],
        submitted_slices: SubmittedSlice [], submitted_endpoints: SubmittedEndpoints [],
        submitted_sealed: SubmittedSealed [], submitted_namespaces: SubmittedNamespace [], submitted_issuers: SubmittedIssuer [], unread: Unread [],
        // facts from effects
        addresses: GatewayAddress [], acks: WireAck [], pending: WirePending [], in_force: ListenerInForce [], failures: IssueFailure [], orders: OrderProgress [], issuances: Issuance [IssuancesByCertificate],
        account_states: AccountState [], probes: Probe [],
        settings: Settings [], real_acme: RealAcme [], in_cluster: InCluster [], fleet_settings: FleetSettings [], fleet_failures: FleetFailure [], dialled: DialledBackends [], system_roots: SystemRoots [], dns_settings: DnsSettings [AllDnsSettings],
        published: PublishedRecord [PublishedByName], record_problems: RecordProblem [ProblemsByName],
        dns_answers: DnsAnswer [],
        unseal_failures: UnsealFailure [], component_credentials: ComponentCredential [], kept: Kept [], unseen: Unseen [UnseenByNamespace], reach: Reach [],
        // policy: what it lets through; no other room sees the submitted rows
        compiled_policies: CompiledPolicy [], active_bindings: ActiveBinding [BindingsByResource],
        policy_cases: Case [], policy_judgements: Judgement [JudgementsByObject], denied: Denied [], cut_secrets: CutSecret [CutsBySecret],
        gateways: Gateway [GatewaysBySecret], listener_sets: ListenerSet [ListenerSetsBySecret], routes: Route [], gateway_classes: GatewayClass [],
        grants: ReferenceGrant [GrantsByNamespace], services: Service [], slices: EndpointSlice [SlicesByService],
        endpoints_objects: EndpointsObject [], sealed_secrets: SealedSecret [], issuers: Issuer [IssuersBySecret],
        certificates: Certificate [CertificatesByTarget],
        // secrets
        unseal_wanted: UnsealWanted [], mirror_claims: MirrorClaim [MirrorClaimsByMirror], mirrors: Mirror [],
        mirror_wanted: MirrorWanted [], mirror_unwanted: MirrorUnwanted [],
        // certificates
        shim_claims: ShimClaim [ShimClaimsByCertificate], shim_certificates: ShimCertificate [],
        issuer_states: IssuerState [], accounts_wanted: AccountWanted [], states: CertificateState [],
        issues: IssueWanted [], temporaries: TemporaryWanted [], templates: TemplateWanted [], needed_secrets: NeededSecret [], records: RecordWanted [RecordsByIssuance],
        // gateway
        tls: TlsReady [], set_states: ListenerSetState [SetsByGateway], merged: MergedListeners [], client_trusts: ClientTrust [], trusted: TrustedCa [], owners: GatewayOwner [], gateway_listeners: GatewayListener [ListenersByGateway], listeners: ListenerState [],
        listener_certificates: ListenerCertificate [CertificatesByGateway, CertificatesBySecret],
        look_into: LookInto [], tls_secrets: TlsSecret [], wire_listeners: WireListener [],
        offers: Offer [OffersByHost, OffersBeneath], contenders: Contender [ContendersByListener], route_conflicts: RouteConflict [],
        gateway_restrictions: GatewayRestrictions [], unenforced: Unenforced [],
        gateway_ports: GatewayPorts [], attachments: Attachment [AttachmentsByListener], verdicts: ParentVerdict [], unresolved: Unresolved [],
        expression_uses: ExpressionUse [ExpressionsByNamespace], over_budget: OverBudget [],
        host_rules: HostRule [RulesByHost], uses: ClusterUse [UsesByCluster], listener_hosts: ListenerHost [], virtual_hosts: VirtualHost [], stream_hosts: StreamHost [StreamsByChain],
        backend_trusts: BackendTrust [], client_certificates: ClientCertificate [ClientCertificatesBySecret], tls_uses: TlsUse [TlsUsesByPolicy],
        clusters: Cluster [], endpoints: Endpoints [], listener_force: ListenerForce [], host_force: HostForce [],
        // infrastructure
        fleets: FleetWanted [],
        // dns
        gates: ListenerGate [], targets: GatewayTargets [], desired_records: DesiredRecord [DesiredByName, DesiredByRoute],
        wanted_names: WantedName [], dns_states: DnsState [StatesByHost], departed: Departed [],
        // status
        claims: HostClaim [ClaimsByHost], entry_points: EntryPoint [], findings: Finding [],
        // conditions
        listener_statuses: ListenerStatus [], statuses: ObjectStatus [],
        // gitops
        healths: ObjectHealth [],
    }
}

/// Context of every rule.
pub type Cx<'a> = portolan_engine::Cx<'a, World>;

/// An engine with all rules, checked.
///
/// # Panics
/// When the rules are out of order: a bug that every test finds.
pub fn engine() -> Engine<World> {
    let mut engine = Engine::default();
    policy::register(&mut engine);
    secrets::register(&mut engine);
    certificates::register(&mut engine);
    gateway::register(&mut engine);
    infrastructure::register(&mut engine);
    dns::register(&mut engine);
    status::register(&mut engine);
    conditions::register(&mut engine);
    gitops::register(&mut engine);
    if let Err(wrong) = engine.finish() {
        panic!("{}", wrong.join("; "));
    }
    engine
}

/// Files a problem.
pub fn problem(
    cx: &mut Cx<'_>,
    object: ObjectKey,
    code: u16,
    severity: Severity,
    field: &str,
    message: String,
    hint: &str,
) {
    let problem =
        Problem { object, code: Code(code), field: field.into(), severity, message, hint: hint.to_owned() };
    cx.emit(Finding { problem });
}

/// Puts what intake made of the object `key` in place of all that the object yielded before.
pub fn put(engine: &mut Engine<World>, key: &ObjectKey, taken: Intake) {
    let mut rows = Rows::none();
    taken.judged.into_iter().for_each(|row| rows.add(row));
    taken.restriction.into_iter().for_each(|row| rows.add(row));
    taken.tls.into_iter().for_each(|row| rows.add(row));
    if !taken.problems.is_empty() {
        rows.add(InputProblems { key: key.clone(), problems: taken.problems });
    }
    match taken.fact {
        None => {}
        Some(Fact::Namespace(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::GatewayClass(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Gateway(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Route(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::ReferenceGrant(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Service(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::EndpointSlice(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Endpoints(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Secret(row)) => rows.add(row),
        Some(Fact::ConfigMap(row)) => rows.add(row),
        Some(Fact::SealedSecret(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Issuer(row)) => rows.add(Submitted(Arc::new(row))),
        Some(Fact::Certificate(row)) => {
            rows.add(Submitted(Arc::<portolan_model::input::Certificate>::from(row)));
        }
        Some(Fact::AdmissionPolicy(row)) => rows.add(row),
        Some(Fact::AdmissionBinding(row)) => rows.add(row),
        // What it restricts is not open because a policy denies it.
        Some(Fact::BackendTls(row)) => rows.add(*row),
        Some(Fact::ListenerSet(row)) => rows.add(Submitted(Arc::new(row))),
    }
    engine.replace(key, rows);
}

/// Puts in place of all that the object yielded before that it is there and was not read.
pub fn put_unread(engine: &mut Engine<World>, key: &ObjectKey) {
    let mut rows = Rows::none();
    rows.add(Unread { key: key.clone() });
    engine.replace(key, rows);
}

/// Puts `row` in place of the row that the object `key` yielded, as if an effect had written the object anew; what else is
/// known of it stays.
pub fn amend<R: Row>(engine: &mut Engine<World>, key: &ObjectKey, row: R)
where
    World: Has<R>,
{
    let mut rows = Rows::none();
    rows.add(row);
    engine.get::<Judged>(key).into_iter().for_each(|row| rows.pass(row));
    engine.get::<Restriction>(key).into_iter().for_each(|row| rows.pass(row));
    engine.get::<InputProblems>(key).into_iter().for_each(|row| rows.pass(row));
    engine.replace(key, rows);
}

/// The same of a Secret.
pub fn amend_secret(engine: &mut Engine<World>, row: Secret) {
    amend(engine, &ObjectKey { kind: Kind::new("", "Secret"), name: row.key.clone() }, row);
}

/// The same of a ConfigMap.
pub fn amend_config_map(engine: &mut Engine<World>, row: ConfigMap) {
    amend(engine, &ObjectKey { kind: Kind::new("", "ConfigMap"), name: row.key.clone() }, row);
}

/// Removes all that the object yielded, and nothing that another object yields, whatever its name.
pub fn remove(engine: &mut Engine<World>, key: &ObjectKey) {
    engine.replace(key, Rows::none());
}

/// Milliseconds for the engine.
pub(crate) fn at(instant: Instant) -> portolan_engine::Instant {
    instant.0
}

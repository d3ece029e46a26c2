//! Requests of Envoy, or of whoever reaches its socket: a stream takes them in any order and goes on answering.
#![no_main]

use std::sync::{Arc, LazyLock};

use envoy_types::pb::envoy::{
    config::{cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment, listener::v3::Listener},
    service::discovery::v3::DeltaDiscoveryRequest,
};
use portolan_core::gateway::rows::{VirtualHost, WireKey, WireType};
use portolan_envoy::{
    board::Wanted,
    resources::{Resource, Uses, type_url},
    session::Session,
    tables::Host,
};
use portolan_fuzz::{
    arbitrary::{Result, Unstructured},
    target, tree,
};
use prost::Message as _;

const TABLE: &str = "rc/t";
const TYPES: [WireType; 5] =
    [WireType::Cluster, WireType::Endpoints, WireType::Secret, WireType::Listener, WireType::VirtualHost];
const NAMES: [&str; 8] = ["", "*", "l", "c0", "c1", "rc/t", "rc/t/0", "a.example.com"];

static WANTED: LazyLock<Wanted> = LazyLock::new(|| {
    let mut wanted = Wanted::default();
    let mut put = |r#type, name: &str, resource| {
        wanted.set(&WireKey { r#type, name: name.into() }, Some(Arc::new(resource)));
    };
    for name in ["c0", "c1", "c2"] {
        put(WireType::Cluster, name, Resource::of(&Cluster { name: name.into(), ..Default::default() }));
        let endpoints = ClusterLoadAssignment { cluster_name: name.into(), ..Default::default() };
        put(WireType::Endpoints, name, Resource::of(&endpoints));
    }
    let uses = Uses { tables: vec![TABLE.into()], ..Uses::default() };
    let listener = Listener { name: "l".into(), ..Default::default() };
    put(WireType::Listener, "l", Resource::of(&listener).using(uses));
    for host in ["a.example.com", "b.example.com", "*.example.com"] {
        let row = VirtualHost { key: (TABLE.into(), host.into()), entries: Vec::new(), misdirected: false };
        wanted.set_host(&TABLE.into(), &host.into(), Some(Arc::new(Host::of(&Arc::new(row)))));
    }
    wanted
});

fn names(bytes: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let count = bytes.arbitrary::<u8>()? % 4;
    (0..count)
        .map(|_| {
            let which = usize::from(bytes.arbitrary::<u8>()?);
            Ok(match NAMES.get(which) {
                Some(name) => (*name).to_owned(),
                None => tree::text(bytes)?,
            })
        })
        .collect()
}

/// A request that is nearly what Envoy sends: to one of the responses so far, acking or refusing it.
fn request(bytes: &mut Unstructured<'_>, sent: &[(String, String)]) -> Result<DeltaDiscoveryRequest> {
    let how: u8 = bytes.arbitrary()?;
    if how % 8 == 7 {
        let length = usize::from(bytes.arbitrary::<u8>()?).min(bytes.len());
        return Ok(DeltaDiscoveryRequest::decode(bytes.bytes(length)?).unwrap_or_default());
    }
    let mut request = DeltaDiscoveryRequest {
        type_url: type_url(TYPES[usize::from(how >> 4) % 5]),
        resource_names_subscribe: names(bytes)?,
        resource_names_unsubscribe: names(bytes)?,
        ..Default::default()
    };
    if !sent.is_empty() && how % 2 == 0 {
        let (url, nonce) = &sent[usize::from(bytes.arbitrary::<u8>()?) % sent.len()];
        (request.type_url, request.response_nonce) = (url.clone(), nonce.clone());
    }
    if how % 4 == 0 {
        let message = tree::text(bytes)?;
        request.error_detail =
            Some(envoy_types::pb::google::rpc::Status { code: 13, message, ..Default::default() });
    }
    if how % 3 == 0 {
        for name in names(bytes)? {
            request.initial_resource_versions.insert(name, "1".into());
        }
    }
    Ok(request)
}

target!(|bytes| {
    let mut bytes = Unstructured::new(bytes);
    let mut session = Session::default();
    let mut sent = Vec::new();
    for now in 0..24 {
        if bytes.is_empty() {
            break;
        }
        if let Ok(request) = request(&mut bytes, &sent) {
            session.request(&request, now * 100);
        }
        let responses = session.responses(&WANTED, now * 100);
        assert!(responses.len() <= 64, "{} responses to one request", responses.len());
        sent.extend(responses.iter().map(|response| (response.type_url.clone(), response.nonce.clone())));
        // What was just asked for is not asked for again: a stream comes to rest.
        assert!(session.responses(&WANTED, now * 100).is_empty(), "it answers nothing to nothing");
        let _ = (session.verdicts(), session.is_waiting(), session.due());
    }
});

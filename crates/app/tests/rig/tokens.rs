//! Who is told anything over the network: tokens of the real API server, of every kind that is not good enough.

use std::net::SocketAddr;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::{
    grpc,
    place::{Place, eventually},
    running::Running,
};

const UNAUTHENTICATED: Option<u32> = Some(16);
const DENIED: Option<u32> = Some(7);

/// A Pod that nothing runs in: of its image there is none.
fn pod(place: &Place, name: &str, account: &str, gateway: &str) -> String {
    place.apply(&format!(
        "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {account}}}}}\n---\n\
         {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{gateway.networking.k8s.io/gateway-name: {gateway}}}}}, \
         spec: {{serviceAccountName: {account}, containers: [{{name: envoy, image: rig.example/none:1}}]}}}}\n"
    ));
    place.get(&format!("pod/{name}")).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// A token of an account: for an audience, and for a Pod.
fn token(place: &Place, account: &str, audience: &str, pod: Option<(&str, &str)>) -> String {
    let mut args = vec!["create", "token", account, "--duration", "10m", "--audience", audience];
    if let Some((name, uid)) = pod {
        args.extend(["--bound-object-kind", "Pod", "--bound-object-name", name, "--bound-object-uid", uid]);
    }
    place.kubectl(&args, "").unwrap().trim().to_owned()
}

/// The same token as it would be when it has ended: signed by the API server's own key.
fn ended(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    for field in ["exp", "iat", "nbf"] {
        payload[field] = json!(payload[field].as_i64().unwrap() - 3_600);
    }
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let key = std::path::Path::new(&std::env::var("RIG_DIR").unwrap()).join("pki/service-account.key");
    let pair = rcgen::KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
    let signed = format!("{}.{payload}", parts[0]);
    let der = rcgen::SigningKey::sign(&pair, signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&der)))
}

/// An ECDSA signature as JWTs have it: two numbers of 32 bytes, instead of a DER sequence of two integers.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = &rest[2 + length..];
    }
    out
}

#[test]
fn an_envoy_shows_the_token_of_its_pod_and_nobody_else_is_told_anything() {
    let Some(place) = Place::new("gated") else { return };
    place.gateway();
    let node = std::env::var("RIG_NODE_IP").unwrap();
    let portolan = Running::start(&place, &["--xds-listen", &format!("{node}:0")], None);
    let at: SocketAddr = portolan.xds.parse().unwrap();
    let trust = eventually("there is a CA", || {
        let secret = place.get("secret/portolan-xds")?;
        String::from_utf8(STANDARD.decode(secret["data"]["ca.crt"].as_str()?).ok()?).ok()
    });
    let ask = |method: &str, token: Option<&str>, id: &str| grpc::call(at, &node, &trust, method, token, id);
    let delta = grpc::METHODS[0];
    let audience = "portolan-xds";

    let uid = pod(&place, "gw-1", "gw", "gw");
    let good = token(&place, "gw", audience, Some(("gw-1", &uid)));
    let id = format!("gw-1.{}", place.name);
    eventually("a good one is let in", || (ask(delta, Some(&good), &id) == Ok(None)).then_some(()));
    assert_eq!(ask(delta, Some(&good), "gw-2.gated"), Ok(DENIED), "under its own node id alone");

    // Who is not let in is not by any method.
    let ended = ended(&good);
    let of_nobody = token(&place, "gw", audience, None);
    let for_others = token(&place, "gw", "somebody-else", Some(("gw-1", &uid)));
    let mut forged = good.clone();
    forged.truncate(good.rfind('.').unwrap() + 1);
    forged.push_str(&URL_SAFE_NO_PAD.encode([7; 64]));
    for (what, shown) in [
        ("none", None),
        ("no token at all", Some("hello")),
        ("a forged one", Some(&*forged)),
        ("one that has ended", Some(&*ended)),
        ("one for another audience", Some(&*for_others)),
        ("one of no Pod", Some(&*of_nobody)),
    ] {
        for method in grpc::METHODS {
            assert_eq!(ask(method, shown, &id), Ok(UNAUTHENTICATED), "{what}, {method}");
        }
    }

    // A Pod of another account serves nobody's Gateway, whatever its label says, and neither does one without a label.
    let uid = pod(&place, "stranger", "stranger", "gw");
    let stranger = token(&place, "stranger", audience, Some(("stranger", &uid)));
    for method in grpc::METHODS {
        assert_eq!(ask(method, Some(&stranger), "stranger.gated"), Ok(DENIED), "{method}");
    }
    // With the Pod its token goes.
    place.kubectl(&["delete", "pod/gw-1", "--grace-period=0", "--force"], "").unwrap();
    eventually("it is worth nothing any more", || {
        (ask(delta, Some(&good), &id) == Ok(UNAUTHENTICATED)).then_some(())
    });
}

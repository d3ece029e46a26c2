//! Whose a token is: TokenReview.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{Api, Failure};

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// Names under which an API server tells which Pod a token was made for.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// The Pod that a token was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Namespace of the account and the Pod.
    pub namespace: String,
    /// Name of its ServiceAccount.
    pub account: String,
    /// Name of the Pod.
    pub pod: String,
    /// Its uid: another Pod of the name is another.
    pub uid: String,
    /// When the token ends, in seconds since 1970.
    pub ends: i64,
}

/// Why a token is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worthless {
    /// It is forged, has ended, or was made for a Pod that is gone or for somebody else to read.
    Refused,
    /// It is a person's, or was made for no Pod, or does not end.
    NoPod,
}

/// Asks the API server whose a token is that was made for an audience.
///
/// # Errors
/// When the server cannot be asked. What it says holds nothing of the token.
pub async fn review(api: &Api, token: &str, audience: &str) -> Result<Result<Holder, Worthless>, Failure> {
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    });
    let answer = api.create(PATH, &body).await?.json;
    Ok(ends(token).ok_or(Worthless::NoPod).and_then(|ends| holder(&answer["status"], audience, ends)))
}

/// When a token says that it ends. It proves nothing by itself: whether it is genuine the API server says.
fn ends(token: &str) -> Option<i64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&payload).ok()?["exp"].as_i64()
}

/// What the status of a TokenReview says.
fn holder(status: &Value, audience: &str, ends: i64) -> Result<Holder, Worthless> {
    // A server that does not know audiences names none, and takes a token that was made for anybody.
    let meant = status["audiences"].as_array().into_iter().flatten().any(|one| one == audience);
    if status["authenticated"] != true || !meant {
        return Err(Worthless::Refused);
    }
    let user = &status["user"];
    let name = user["username"].as_str().and_then(|name| name.strip_prefix("system:serviceaccount:"));
    let (namespace, account) = name.and_then(|name| name.split_once(':')).ok_or(Worthless::NoPod)?;
    let extra = |key: &str| match user["extra"][key].as_array().map(Vec::as_slice) {
        Some([one]) => one.as_str().map(ToOwned::to_owned),
        _ => None,
    };
    let (Some(pod), Some(uid)) = (extra(POD_NAME), extra(POD_UID)) else { return Err(Worthless::NoPod) };
    Ok(Holder { namespace: namespace.to_owned(), account: account.to_owned(), pod, uid, ends })
}

/// Path of a Pod.
pub fn pod_path(namespace: &str, name: &str) -> String {
    let segment = crate::client::segment;
    format!("/api/v1/namespaces/{}/pods/{}", segment(namespace), segment(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Value {
        json!({
            "authenticated": true, "audiences": ["portolan-xds"],
            "user": {
                "username": "system:serviceaccount:infra:edge",
                "extra": {POD_NAME: ["edge-1"], POD_UID: ["u-1"], "other": ["x"]},
            },
        })
    }

    #[test]
    fn a_token_is_worth_the_pod_that_it_was_made_for() {
        let is = holder(&status(), "portolan-xds", 7);
        let [namespace, account, pod, uid] = ["infra", "edge", "edge-1", "u-1"].map(ToOwned::to_owned);
        assert_eq!(is, Ok(Holder { namespace, account, pod, uid, ends: 7 }));
    }

    #[test]
    fn a_token_says_when_it_ends() {
        let token = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(ends(&token(r#"{"exp":1790000000}"#)), Some(1_790_000_000));
        for other in [token("{}"), token("nonsense"), "abc".into(), String::new(), "a.!!.b".into()] {
            assert_eq!(ends(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_missing_or_meant_for_others_is_worth_nothing() {
        let but = |path: &str, value: Value| {
            let mut status = status();
            *status.pointer_mut(path).expect("it is there") = value;
            holder(&status, "portolan-xds", 7)
        };
        assert_eq!(but("/authenticated", false.into()), Err(Worthless::Refused));
        assert_eq!(but("/audiences", json!(["https://kubernetes.default.svc"])), Err(Worthless::Refused));
        assert_eq!(
            but("/audiences", Value::Null),
            Err(Worthless::Refused),
            "a server that knows no audiences"
        );
        assert_eq!(but("/user/username", "system:admin".into()), Err(Worthless::NoPod));
        assert_eq!(but("/user/username", "system:serviceaccount:infra".into()), Err(Worthless::NoPod));
        assert_eq!(but("/user/extra", Value::Null), Err(Worthless::NoPod), "made by hand for no Pod");
        for key in [POD_NAME, POD_UID] {
            let path = format!("/user/extra/{}", key.replace('/', "~1"));
            assert_eq!(but(&path, json!([])), Err(Worthless::NoPod));
            assert_eq!(but(&path, json!(["a", "b"])), Err(Worthless::NoPod));
        }
        assert_eq!(holder(&Value::Null, "portolan-xds", 7), Err(Worthless::Refused));
    }
}

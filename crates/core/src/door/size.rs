//! How large an object may be: what an API server takes in a request, and etcd behind it.

use std::io::{self, Write};

use portolan_model::{Code, ObjectKey, Problem, Severity};
use serde_json::Value;

/// Most bytes of a request's body (Kubernetes, `MaxRequestBodyBytes`).
const BODY: u64 = 3 << 20;
/// Most bytes of what etcd stores (`--max-request-bytes`). Kinds of definitions are stored as JSON; those that are built in in
/// a shorter form, which is not counted here.
const STORED: u64 = 3 << 19;
/// Groups of Kubernetes' own domain whose kinds are defined by CRDs.
const DEFINED: [&str; 2] = ["externaldns.k8s.io", "gateway.networking.k8s.io"];

/// Why the object is refused, if it is too large.
pub(super) fn too_large(key: &ObjectKey, json: &Value) -> Option<Problem> {
    let group = &*key.kind.group;
    let built_in = !group.contains('.') || group.ends_with(".k8s.io") && !DEFINED.contains(&group);
    let most = if built_in { BODY } else { STORED };
    let mut counted = Counted { bytes: 0, most };
    if serde_json::to_writer(&mut counted, json).is_ok() {
        return None;
    }
    Some(Problem {
        object: key.clone(),
        code: Code(5),
        field: "".into(),
        severity: Severity::Error,
        message: format!(
            "the object is left out, as Kubernetes refuses it: Request entity too large: limit is {most} bytes as JSON"
        ),
        hint: "split the object; until then what was stored before stays".to_owned(),
    })
}

/// Counts, until it is too much.
struct Counted {
    bytes: u64,
    most: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_api_server_does_not_take() {
        let refused = |group: &str, bytes: usize| {
            let key = ObjectKey::new(group, "X", "a", "b");
            let json = serde_json::json!({"spec": {"a": "x".repeat(bytes)}});
            too_large(&key, &json).map(|problem| problem.message)
        };
        assert_eq!(refused("gateway.networking.k8s.io", (3 << 19) - 100), None);
        let text = refused("gateway.networking.k8s.io", 3 << 19).unwrap_or_default();
        assert!(text.contains("limit is 1572864 bytes"), "{text}");
        assert!(refused("example.com", 3 << 19).is_some());
        for group in ["", "apps", "discovery.k8s.io"] {
            assert_eq!(refused(group, (3 << 20) - 100), None);
            assert!(refused(group, 3 << 20).is_some());
        }
    }
}

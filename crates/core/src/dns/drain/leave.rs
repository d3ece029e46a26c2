//! Whether something that is kept for its records goes now.

use portolan_engine::Engine;
use portolan_model::{
    Object, ObjectKey, RouteKey, RouteKind,
    input::{Gateway, ListenerSet, Route},
};

use super::is_kept;
use crate::{World, dns::rows::Departed};

const GROUP: &str = "gateway.networking.k8s.io";

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It is not kept any more: the repository brings it again, or it is gone.
    Back,
    /// Names still point to it.
    Waits,
    /// It goes: its records are gone.
    Done,
    /// It goes: its time was up before its records were gone.
    Late,
    /// It goes: a policy denies it.
    Denied,
}

/// The route that an object is.
pub fn route_key(key: &ObjectKey) -> Option<RouteKey> {
    let kind = RouteKind::of(&key.kind.kind).filter(|_| &*key.kind.group == GROUP)?;
    Some(RouteKey { kind, name: key.name.clone() })
}

/// Judges what is kept under a key, as it is stored. `reported`: the keeper of the zones has reported since the start; before, nobody
/// knows whether a mass deletion is held back, for which nothing goes late.
pub fn leave(engine: &Engine<World>, key: &ObjectKey, stored: Option<&Object>, reported: bool) -> Leave {
    // What is back in the repository has lost its mark.
    if !stored.is_some_and(is_kept) {
        return Leave::Back;
    }
    let let_in = match route_key(key) {
        Some(route) => engine.get::<Route>(&route).is_some(),
        None if key.kind.is(GROUP, "Gateway") => engine.get::<Gateway>(&key.name).is_some(),
        None if key.kind.is(GROUP, "ListenerSet") => engine.get::<ListenerSet>(&key.name).is_some(),
        None => true,
    };
    judge(let_in, engine.get::<Departed>(key).as_deref(), reported)
}

fn judge(let_in: bool, departed: Option<&Departed>, reported: bool) -> Leave {
    match departed {
        None if let_in => Leave::Waits,
        None => Leave::Denied,
        Some(row) if row.late && !reported => Leave::Waits,
        Some(row) if row.late => Leave::Late,
        Some(_) => Leave::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_model::{Instant, Origin};
    use serde_json::json;

    #[test]
    fn it_goes_with_its_records_and_late_only_when_something_is_known_of_them() {
        let key = ObjectKey::new(GROUP, "HTTPRoute", "shop", "web~1");
        let row = |late| Departed { key: key.clone(), late, until: Instant(0) };
        let all = [
            (true, None, true, Leave::Waits),
            (true, None, false, Leave::Waits),
            (false, None, false, Leave::Denied),
            (true, Some(row(false)), false, Leave::Done),
            (false, Some(row(false)), true, Leave::Done),
            (true, Some(row(true)), false, Leave::Waits),
            (true, Some(row(true)), true, Leave::Late),
        ];
        for (let_in, departed, reported, expected) in all {
            assert_eq!(
                judge(let_in, departed.as_ref(), reported),
                expected,
                "{let_in} {departed:?} {reported}"
            );
        }
    }

    #[test]
    fn what_has_no_mark_is_back() {
        let engine = crate::engine();
        let object = |name: &str| {
            let json = json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": name, "namespace": "shop"}, "spec": {},
            });
            Object::from_json(json, Origin::default()).expect("it has kind and name")
        };
        let (kept, other) = (object("web~1"), object("web"));
        assert_eq!(leave(&engine, &other.key, Some(&other), true), Leave::Back);
        assert_eq!(leave(&engine, &kept.key, None, true), Leave::Back);
        // It is stored, and no rule has let it in.
        assert_eq!(leave(&engine, &kept.key, Some(&kept), true), Leave::Denied);
    }
}

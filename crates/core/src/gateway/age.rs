//! Which of two routes comes first where the specification asks for the older one.

use std::{cmp::Ordering, iter};

use portolan_model::{Instant, RouteKey, input::Route};

use crate::dns::drain::is_leaving;

/// Age of a route: smaller is older. Of one instant it is the first "in alphabetical order by {namespace}/{name}", as
/// text: namespace `a-b` comes before `a`, since `-` comes before `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Age {
    /// `metadata.creationTimestamp`.
    pub created: Instant,
    /// The route.
    pub route: RouteKey,
}

impl Age {
    /// Of a route. The copy of a removed route stands behind all that are there.
    pub fn of(route: &Route) -> Self {
        let created = if is_leaving(&route.key) { Instant(i64::MAX) } else { route.created };
        Self { created, route: route.key.clone() }
    }

    fn text(&self) -> impl Iterator<Item = u8> {
        let name = &self.route.name;
        name.namespace.bytes().chain(iter::once(b'/')).chain(name.name.bytes())
    }
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.created.cmp(&other.created).then_with(|| self.text().cmp(other.text()));
        order.then_with(|| self.route.kind.cmp(&other.route.kind))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use portolan_model::{NamespacedName, RouteKind};

    use super::*;

    fn age(created: i64, kind: RouteKind, namespace: &str, name: &str) -> Age {
        let route = RouteKey { kind, name: NamespacedName::new(namespace, name) };
        Age { created: Instant(created), route }
    }

    #[test]
    fn the_older_one_then_the_first_by_namespace_and_name_as_text() {
        let (http, grpc) = (RouteKind::Http, RouteKind::Grpc);
        assert!(age(1, grpc, "z", "z") < age(2, http, "a", "a"));
        assert!(age(1, http, "a-b", "r") < age(1, http, "a", "r"));
        assert!(age(1, grpc, "a", "b") < age(1, http, "a", "c"));
        assert!(age(1, http, "a", "b") < age(1, grpc, "a", "b"));
    }
}

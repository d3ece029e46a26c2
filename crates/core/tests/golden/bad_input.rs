//! Each case of the gateway room with one object broken at a time: no other host's rows change. What depends on an object is
//! what changes when it is taken away; whatever stands in it, nothing else may. `make bad-input` runs all of it, `make test`
//! a sample.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{
    gateway::rows::{Cluster, Endpoints, TlsSecret, VirtualHost, WireListener},
    status::rows::{EntryPoint, HostClaim},
    world,
};
use portolan_engine::Row;
use portolan_model::{
    NamespacedName, Object, ObjectKey, Origin, RouteKey,
    input::{BackendRef, BackendTlsPolicy, Filter, ParentRef, Restriction, Route},
    intake::intake,
};
use portolan_testkit::mistakes;

use super::{Run, case::cases};

/// Rows that decide what hosts answer and what is said of them, by table and key.
type Rows = BTreeMap<(&'static str, String), String>;
type Hosts = BTreeMap<String, Arc<VirtualHost>>;

fn rows(run: &Run) -> (Rows, Hosts) {
    let mut all = Rows::new();
    macro_rules! note {
        ($($row:ty),*) => {$(
            for row in run.engine.rows::<$row>() {
                all.insert((<$row as Row>::NAME, format!("{:?}", row.key)), format!("{row:?}"));
            }
        )*};
    }
    note!(WireListener, Cluster, Endpoints, TlsSecret, EntryPoint);
    let hosts = run.engine.rows::<VirtualHost>();
    (all, hosts.map(|host| (format!("{:?}", host.key), Arc::clone(host))).collect())
}

/// Keys of rows that are not the same in both.
fn changed<V: PartialEq, K: Ord + Clone>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<K> {
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(key)));
    keys.filter(|key| before.get(key) != after.get(key)).cloned().collect()
}

struct Base {
    rows: Rows,
    hosts: Hosts,
    /// Hostnames that the object asks for, also where it does not get them.
    claimed: Vec<String>,
    /// How the names of clusters begin that lead to what the object is about.
    backends: Vec<String>,
    /// What depends on the object.
    depends: (Vec<(&'static str, String)>, Vec<String>),
}

impl Base {
    /// Rows that changed and have nothing to do with the object.
    fn harmed(&self, run: &Run, object: &ObjectKey) -> Vec<String> {
        let (rows, hosts) = rows(run);
        let others = changed(&self.rows, &rows).into_iter().filter(|key| !self.depends.0.contains(key));
        // What only the object itself asks for is no other host's; the hosts of a Gateway are what claims it.
        let own = |key: &(&str, String)| {
            let fresh = !self.rows.contains_key(key);
            // Nobody was served by a cluster that was not there: it is of the name that stands there now.
            (fresh
                && ([Cluster::NAME, Endpoints::NAME].contains(&key.0)
                    || rows.get(key).is_some_and(|row| row.contains(&*object.name.name))))
                || (key.0 == EntryPoint::NAME && is_of_gateway(run, object, &key.1))
                || (key.0 == EntryPoint::NAME && self.claimed.contains(&key.1))
                // One of labels that cannot be read restricts all that it may mean, and one of a target all of its namespace.
                || (key.0 == EntryPoint::NAME && run.engine.get::<Restriction>(object).is_some_and(|row| row.whole || !row.selectors.is_empty()))
                || self.backends.iter().any(|backend| key.1.contains(backend))
                // A host says of every object that asks for it what is broken there, and stays as it is.
                || (key.0 == EntryPoint::NAME && rows.get(key).is_some_and(|row| row.contains(&format!("{object}: "))))
        };
        let mut harmed: Vec<String> = others.filter(|key| !own(key)).map(|key| format!("{key:?}")).collect();
        for key in changed(&self.hosts, &hosts).into_iter().filter(|key| !self.depends.1.contains(key)) {
            let before = self.hosts.get(&key).map_or(&[][..], |host| &host.entries[..]);
            let after = hosts.get(&key).map_or(&[][..], |host| &host.entries[..]);
            let mine = before.is_empty() && after.iter().all(|entry| entry.route.object() == *object);
            let table = format!("(\"rc/{}/", object.name);
            let mine = mine || self.claimed.iter().any(|host| key.ends_with(&format!(", {host})")));
            let mine = mine || (&*object.kind.kind == "Gateway" && key.starts_with(&table));
            let mine = mine || run.engine.get::<Restriction>(object).is_some_and(|row| row.whole);
            if !mine {
                harmed.push(format!("virtual host {key}"));
            }
        }
        harmed
    }
}

/// The Services that an object is about.
fn services(run: &Run, object: &ObjectKey) -> Vec<NamespacedName> {
    // Endpoints are those of the Service that is called so.
    if object.kind.is("", "Service") || object.kind.is("", "Endpoints") {
        return vec![object.name.clone()];
    }
    let policy = run.engine.get::<BackendTlsPolicy>(&object.name);
    let policy = policy.filter(|_| &*object.kind.kind == "BackendTLSPolicy");
    policy.iter().flat_map(|policy| &policy.targets).map(|target| target.name.clone()).collect()
}

/// Whether a route sends requests to one of them, or copies.
fn reaches(route: &Route, services: &[NamespacedName]) -> bool {
    let copies = |filter: &Filter| matches!(filter, Filter::Mirror { backend, .. } if services.contains(&backend.name));
    route.rules.iter().any(|rule| {
        let backend = |backend: &BackendRef| {
            services.contains(&backend.target.name) || backend.filters.iter().any(copies)
        };
        rule.backends.iter().any(backend) || rule.filters.iter().any(copies)
    })
}

/// Whether all claims to a hostname are to the broken Gateway, or to one that a broken restriction names: where it cannot
/// be read which of its listeners is meant, all are restricted.
fn is_of_gateway(run: &Run, object: &ObjectKey, host: &str) -> bool {
    let restriction = run.engine.get::<Restriction>(object);
    let of = |gateway: &NamespacedName| {
        let named = |target: &ParentRef| &*target.kind.kind == "Gateway" && target.name == *gateway;
        (&*object.kind.kind == "Gateway" && *gateway == object.name)
            || restriction.as_ref().is_some_and(|row| row.targets.iter().any(named))
    };
    let mut claims =
        run.engine.rows::<HostClaim>().filter(|claim| format!("{:?}", claim.key.host) == host).peekable();
    claims.peek().is_some() && claims.all(|claim| of(&claim.gateway))
}

fn step(run: &mut Run) {
    let changes = run.engine.step(run.now.0);
    assert!(changes.errors.is_empty() && changes.conflicts.is_empty(), "{:?}", changes.conflicts);
    assert!(changes.held.is_empty(), "a rule failed: {:?}", changes.held);
}

#[test]
fn one_broken_object_changes_no_other_hosts_rows() {
    let whole = std::env::var_os("PORTOLAN_BAD_INPUT").is_some();
    let (mut runs, mut skipped, mut wrong) = (0_usize, 0_usize, Vec::new());
    for case in cases().into_iter().filter(|case| case.room == "gateway") {
        let mut run = Run::of(&case);
        let (before, hosts) = rows(&run);
        for (at, object) in case.objects.iter().enumerate() {
            // What a later document or a fact replaces is not what the case is made of.
            let (name, later) = (object.key.name.to_string(), &case.objects[at + 1..]);
            if later.iter().any(|later| later.key == object.key)
                || !case.facts["certificates"][&name].is_null()
            {
                continue;
            }
            let services = services(&run, &object.key);
            let asks = |route: &RouteKey| {
                let reaches = |route: &Arc<Route>| reaches(route, &services);
                route.object() == object.key
                    || run.engine.get::<Route>(route).is_some_and(|route| reaches(&route))
            };
            let claims = run.engine.rows::<HostClaim>().filter(|claim| asks(&claim.key.route));
            let backends = services.iter().map(|service| format!("svc/{service}/")).collect();
            let claimed = claims.map(|claim| format!("{:?}", claim.key.host)).collect();
            world::remove(&mut run.engine, &object.key);
            step(&mut run);
            let (without, hosts_without) = rows(&run);
            let depends = (changed(&before, &without), changed(&hosts, &hosts_without));
            let base = Base { rows: before.clone(), hosts: hosts.clone(), claimed, backends, depends };
            for (what, json) in mistakes(&object.json) {
                skipped += 1;
                if !whole && !skipped.is_multiple_of(41) {
                    continue;
                }
                let Ok(bad) = Object::from_json(json, Origin::default()) else { continue };
                // A grant without a name is none that is wrong: it is for all of the kind.
                let wider = &*bad.key.kind.kind == "ReferenceGrant" && what.ends_with("/name is missing");
                if bad.key != object.key || wider {
                    continue;
                }
                // It is broken from the start; or it was whole and is edited.
                for edited in [false, true] {
                    world::remove(&mut run.engine, &object.key);
                    if edited {
                        world::put(&mut run.engine, &object.key, intake(object));
                        step(&mut run);
                        assert_eq!(
                            rows(&run),
                            (before.clone(), hosts.clone()),
                            "whole again: {}",
                            object.key
                        );
                    }
                    world::put(&mut run.engine, &bad.key, intake(&bad));
                    step(&mut run);
                    runs += 1;
                    for harmed in base.harmed(&run, &object.key) {
                        let case = case.folder.file_name().unwrap().to_string_lossy().into_owned();
                        wrong.push(format!(
                            "{case}: {} {what} (edited: {edited}) changes {harmed}",
                            object.key
                        ));
                    }
                }
            }
            world::remove(&mut run.engine, &object.key);
            world::put(&mut run.engine, &object.key, intake(object));
            step(&mut run);
            assert_eq!(rows(&run), (before.clone(), hosts.clone()), "whole again: {}", object.key);
        }
    }
    println!("{runs} runs of {skipped} mistakes");
    assert!(runs >= 500, "only {runs} runs");
    assert!(wrong.is_empty(), "{} harms:\n{}", wrong.len(), wrong.join("\n"));
}

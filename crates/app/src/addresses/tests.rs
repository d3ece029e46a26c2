#![allow(clippy::unwrap_used)]

use portolan_model::{
    NamespacedName,
    input::{Listener, Protocol},
};

use super::*;

fn gateway(name: &str, ports: &[(u16, &str)]) -> (GatewayKey, Option<Arc<Gateway>>) {
    let listener = |(at, (port, protocol)): (usize, &(u16, &str))| Listener {
        name: format!("l{at}").into(),
        port: *port,
        protocol: match *protocol {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            other => Protocol::Other(other.into()),
        },
        hostname: None,
        tls: None,
        from: portolan_model::input::AllowedNamespaces::Same,
        kinds: vec![],
        filters: vec![],
    };
    let key = NamespacedName::new("ns", name);
    let made = Gateway {
        addresses: vec![],
        infrastructure: portolan_model::input::Infrastructure::default(),
        key: key.clone(),
        generation: 1,
        class: "c".into(),
        listeners: ports.iter().enumerate().map(listener).collect(),
        sets: portolan_model::input::AllowedNamespaces::None,
        frontend: portolan_model::input::Frontend::default(),
        client_certificate: None,
        labels: std::collections::BTreeMap::new(),
        annotations: BTreeMap::new(),
    };
    (key, Some(Arc::new(made)))
}

fn fresh(bind: Option<&str>) -> Addresses {
    Addresses::new(None, 9, bind.map(|ip| ip.parse().unwrap()), false, vec![])
}

fn ports(given: &[(GatewayKey, Option<GatewayAddress>)]) -> Vec<Vec<(u16, u16)>> {
    let one = |(_, address): &(GatewayKey, Option<GatewayAddress>)| {
        address.iter().flat_map(|a| &a.ports).map(|(written, bound)| (*written, *bound)).collect()
    };
    given.iter().map(one).collect()
}

#[test]
fn a_gateway_keeps_its_number() {
    let address =
        |given: &[(GatewayKey, Option<GatewayAddress>)]| given[0].1.as_ref().unwrap().address.clone();
    let mut first = fresh(None);
    assert_eq!(address(&first.give(&[gateway("a", &[])])), "127.77.9.1");
    assert_eq!(address(&first.give(&[gateway("b", &[])])), "127.77.9.2");
    let mut again = Addresses::new(Some(&first.save()), 9, None, false, vec![]);
    assert_eq!(address(&again.give(&[gateway("b", &[])])), "127.77.9.2");
    assert_eq!((range_of(Some(&first.save()), 3), range_of(None, 3)), (9, 4));
}

#[test]
fn numbers_of_gateways_that_are_gone_are_given_again_when_all_are_used() {
    let names: Vec<String> = (1..=254).map(|n| format!("g{n}")).collect();
    let mut all = fresh(None);
    for name in &names {
        all.give(&[gateway(name, &[(80, "HTTP")])]);
    }
    assert_eq!(
        all.give(&[gateway("late", &[(80, "HTTP")])])[0].1,
        None,
        "nothing is taken from who is there"
    );
    let gone = |name: &str| (gateway(name, &[]).0, None);
    all.give(&[gone("g7")]);
    all.give(&[gone("g3")]);
    let address = |given: &[(GatewayKey, Option<GatewayAddress>)]| {
        given[0].1.as_ref().map(|address| address.address.to_string())
    };
    // One of them comes back.
    assert_eq!(address(&all.give(&[gateway("g7", &[(80, "HTTP")])])).unwrap(), "127.77.9.7");
    assert_eq!(address(&all.give(&[gateway("late", &[(80, "HTTP")])])).unwrap(), "127.77.9.3");
    // Over a restart too, when those that are there have said so.
    all.give(&[gone("g9")]);
    let mut again = Addresses::new(Some(&all.save()), 9, None, false, vec![]);
    let present: Vec<_> = names.iter().filter(|name| !["g3", "g9"].contains(&&***name)).collect();
    let mut present: Vec<_> = present.iter().map(|name| gateway(name, &[(80, "HTTP")])).collect();
    present.push(gateway("late", &[(80, "HTTP")]));
    again.give(&present);
    assert_eq!(address(&again.give(&[gateway("new", &[(80, "HTTP")])])).unwrap(), "127.77.9.9");
    assert_eq!(address(&again.give(&[gateway("newer", &[(80, "HTTP")])])), None);
}

/// Cases gateway/03-ports-80-and-8080 and fixtures/ports.
#[test]
fn a_moved_port_meets_no_written_one() {
    let all =
        [gateway("front", &[(80, "HTTP"), (8080, "HTTP"), (443, "HTTPS"), (8443, "HTTPS"), (9000, "HTTP")])];
    let mut addresses = fresh(None);
    let given = ports(&addresses.give(&all));
    assert_eq!(given, [[(80, 8090), (443, 8453), (8080, 8080), (8443, 8443), (9000, 9000)]]);
    // One that comes later moves nobody: what is served stays where it is.
    let mut addresses = fresh(None);
    assert_eq!(ports(&addresses.give(&[gateway("front", &[(80, "HTTP")])])), [[(80, 8080)]]);
    let later = [gateway("front", &[(80, "HTTP"), (8080, "HTTP")])];
    assert_eq!(ports(&addresses.give(&later)), [[(80, 8080), (8080, 8090)]]);
    // UDP is another socket, and moves with the one of TCP that has its number.
    let both = fresh(None).give(&[gateway("u", &[(53, "TCP"), (53, "UDP"), (8080, "UDP")])]);
    assert_eq!(ports(&both), [[(53, 8053), (8080, 8080)]]);
}

#[test]
fn ports_of_gateways_on_one_address_are_moved_apart() {
    let mut addresses = fresh(Some("127.0.0.7"));
    let all = [
        gateway("a", &[(80, "HTTP")]),
        gateway("b", &[(80, "HTTP")]),
        gateway("c", &[(8090, "HTTP"), (65_535, "HTTP")]),
    ];
    assert_eq!(
        ports(&addresses.give(&all)),
        [vec![(80, 8080)], vec![(80, 8100)], vec![(8090, 8090), (65_535, 65_535)]]
    );
    // The end of the range leads back into it.
    let more = [gateway("d", &[(65_535, "HTTP"), (65_530, "HTTP")])];
    assert_eq!(ports(&addresses.give(&more)), [[(65_530, 65_530), (65_535, 65_534)]]);
    // Of one that is gone nothing is kept.
    addresses.give(&[(NamespacedName::new("ns", "a"), None)]);
    assert_eq!(ports(&addresses.give(&[gateway("e", &[(80, "HTTP")])])), [[(80, 8080)]]);
}

#[test]
fn nobody_gets_a_socket_of_ours() {
    let ours: Vec<SocketAddr> = ["127.0.0.1:9470", "127.0.0.1:10053"].map(|s| s.parse().unwrap()).to_vec();
    let all = [gateway("a", &[(9470, "HTTP"), (10_053, "HTTP")])];
    for (bind, expected) in [
        ("127.0.0.1", [(9470, 9480), (10_053, 10_063)]),
        ("0.0.0.0", [(9470, 9480), (10_053, 10_063)]),
        ("127.0.0.2", [(9470, 9470), (10_053, 10_053)]),
    ] {
        let mut addresses = Addresses::new(None, 9, Some(bind.parse().unwrap()), false, ours.clone());
        assert_eq!(ports(&addresses.give(&all)), [expected], "{bind}");
    }
}

#[test]
fn other_settings_give_other_ports() {
    let all = [gateway("a", &[(80, "HTTP")]), gateway("b", &[(80, "HTTP")])];
    let mut addresses = fresh(Some("127.0.0.7"));
    assert_eq!(ports(&addresses.give(&all)), [[(80, 8080)], [(80, 8090)]]);
    let mut own = Addresses::new(Some(&addresses.save()), 9, None, false, vec![]);
    assert_eq!(ports(&own.give(&all)), [[(80, 8080)], [(80, 8080)]]);
    let mut low = Addresses::new(Some(&addresses.save()), 9, None, true, vec![]);
    assert_eq!(ports(&low.give(&all)), [[(80, 80)], [(80, 80)]]);
}

/// xorshift: the same runs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn gateway(&mut self, number: usize) -> (GatewayKey, Option<Arc<Gateway>>) {
        // Few ports, close to each other and to both ends, so that they meet.
        let near = [1, 80, 90, 443, 1023, 1024, 8080, 8090, 8100, 8443, 9023, 14_443, 65_525, 65_535];
        let listeners: Vec<(u16, &str)> = (0..self.below(8))
            .map(|_| {
                let port = near[usize::try_from(self.below(near.len() as u64)).unwrap()];
                (port, ["HTTP", "HTTPS", "TCP", "UDP"][usize::try_from(self.below(4)).unwrap()])
            })
            .collect();
        gateway(&format!("g{number}"), &listeners)
    }
}

/// Address and bound port of all, written port by written port.
type Sockets = BTreeMap<(String, u16), (String, u16)>;

fn note(all: &mut Sockets, given: Vec<(GatewayKey, Option<GatewayAddress>)>) {
    for (key, address) in given {
        all.retain(|(gateway, _), _| *gateway != key.to_string());
        if let Some(address) = address {
            let socket = |bound| (address.address.to_string(), bound);
            all.extend(
                address.ports.iter().map(|(written, bound)| ((key.to_string(), *written), socket(*bound))),
            );
        }
    }
}

#[test]
fn any_gateways_have_sockets_of_their_own_and_the_same_ones_again() {
    let ours: Vec<SocketAddr> = vec!["127.0.0.1:14443".parse().unwrap()];
    for seed in 1..400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bind = [None, Some("127.0.0.1"), Some("0.0.0.0")][usize::try_from(random.below(3)).unwrap()];
        let (bind, low) = (bind.map(|ip| ip.parse().unwrap()), random.below(2) == 0);
        let make = |saved: Option<&[u8]>| Addresses::new(saved, 9, bind, low, ours.clone());
        let mut addresses = make(None);
        let (mut present, mut sockets) = (BTreeMap::new(), Sockets::new());
        for _ in 0..6 {
            let mut changed = Vec::new();
            for number in 0..6 {
                match random.below(4) {
                    0 => changed.push(random.gateway(number)),
                    1 => changed.push((NamespacedName::new("ns", format!("g{number}")), None)),
                    _ => {}
                }
            }
            for (key, gateway) in &changed {
                match gateway {
                    Some(gateway) => present.insert(key.clone(), Arc::clone(gateway)),
                    None => present.remove(key),
                };
            }
            let before = sockets.clone();
            note(&mut sockets, addresses.give(&changed));
            let all: BTreeSet<&(String, u16)> = sockets.values().collect();
            assert_eq!(all.len(), sockets.len(), "seed {seed}: {sockets:?}");
            let wanted = present.values().map(|gateway| written(gateway).len()).sum::<usize>();
            assert_eq!(sockets.len(), wanted, "seed {seed}: every port is bound");
            assert!(bind.is_none() || all.iter().all(|(_, port)| *port != 14_443), "seed {seed}: ours");
            assert!(low || all.iter().all(|(_, port)| *port >= UNPRIVILEGED), "seed {seed}: {sockets:?}");
            for (listener, socket) in &sockets {
                assert!(
                    before.get(listener).is_none_or(|b| b == socket),
                    "seed {seed}: {listener:?} has moved"
                );
            }
        }
        // A later run meets them one by one, in any order.
        let mut again = make(Some(&addresses.save()));
        let mut rest: Vec<_> = present.into_iter().collect();
        let mut found = Sockets::new();
        while !rest.is_empty() {
            let (key, gateway) = rest.swap_remove(usize::try_from(random.below(rest.len() as u64)).unwrap());
            note(&mut found, again.give(&[(key, Some(gateway))]));
        }
        assert_eq!(found, sockets, "seed {seed}");
    }
}

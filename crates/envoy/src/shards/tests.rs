#![allow(clippy::unwrap_used)]
use std::{collections::BTreeSet, fmt::Write as _};

use super::*;

const FROZEN: &str = include_str!("testdata/shards.txt");

/// Hosts of many shapes: what the vectors are about.
fn hosts() -> Vec<String> {
    let mut all: Vec<String> =
        ["", "a", ".", "-", "localhost", "127.0.0.1", "[::1]", "[::1]:80", "a_b.example.com", "x.y:1:2"]
            .map(str::to_owned)
            .to_vec();
    for n in 0..30_u32 {
        all.push(format!("app-{n}.example.com"));
        all.push(format!("svc-{}.ns-{}.corp.test", n % 7, n * 37 % 101));
        all.push(format!(
            "{:x}.{}.dev",
            n.wrapping_mul(2_654_435_761),
            ["shop", "team", "long-name"][n as usize % 3]
        ));
        all.push("abcdefghij.".repeat(n as usize % 8) + "org");
    }
    all.push("l".repeat(1024));
    all.push("l".repeat(1025));
    all
}

/// To change one line of the vectors is to drain every listener of everybody who upgrades.
#[test]
fn vectors_are_frozen() {
    let now: String = hosts().iter().fold(String::new(), |mut text, host| {
        let shown = if host.len() > 400 { format!("l*{}", host.len()) } else { host.clone() };
        writeln!(text, "{:3} {shown}", shard_of(host)).unwrap();
        text
    }) + &expression()
        + "\n";
    assert_eq!(now, FROZEN, "the hash or its expression is not what is in force in running Envoys");
}

/// What Envoy computes, with another engine for the same expressions.
fn by_patterns(host: &str) -> u16 {
    if host.len() > LONGEST {
        return 0;
    }
    let sum: u32 = AUTOMATA
        .iter()
        .filter(|a| regex::Regex::new(&a.pattern()).unwrap().is_match(host))
        .map(|a| a.weight)
        .sum();
    u16::try_from(sum % 256).unwrap()
}

#[test]
fn loops_and_patterns_agree() {
    for host in hosts() {
        for form in [host.clone(), host.to_ascii_uppercase(), format!("{host}:8443"), format!("{host}:")] {
            assert_eq!(shard_of(&form), by_patterns(&form), "{form}");
        }
    }
}

#[test]
fn case_and_port_do_not_matter() {
    for host in hosts().iter().filter(|host| host.len() < 254 && !host.contains(':')) {
        for form in [host.to_ascii_uppercase(), format!("{host}:1"), format!("{host}:65535")] {
            assert_eq!(shard_of(&form), shard_of(host), "{form}");
        }
    }
}

/// A class that is a subset of another, or half empty, would waste its automaton.
#[test]
fn weights_span_all_shards() {
    let reached: BTreeSet<u32> = (0..1_u32 << AUTOMATA.len())
        .map(|bits| (0..10).filter(|k| bits >> k & 1 == 1).map(|k| AUTOMATA[k].weight).sum::<u32>() % 256)
        .collect();
    assert_eq!(reached.len(), usize::from(SHARDS));
    for automaton in &AUTOMATA {
        assert!(automaton.class.chars().all(|c| ALPHABET.contains(c)));
        let letters = automaton.class.chars().filter(char::is_ascii_lowercase).count();
        let digits = automaton.class.chars().filter(char::is_ascii_digit).count();
        assert_eq!((letters, digits), (13, 5), "{}", automaton.class);
    }
}

/// No scheme of names makes a shard much larger than chance would (54 to 61 of 10,000 names in 256 shards).
#[test]
fn names_are_spread() {
    let schemes: [(&str, &dyn Fn(usize) -> String); 5] = [
        ("app", &|n| format!("app-{n}.example.com")),
        ("svc", &|n| format!("svc-{}.ns-{}.example.com", n % 100, n / 100)),
        ("team", &|n| format!("app-{}.team-{}.example.com", n % 20, n / 20)),
        ("host", &|n| format!("host-{n:05}.bench.test")),
        ("tenant", &|n| format!("t{n}.a.b.c.example.org")),
    ];
    for (scheme, name) in schemes {
        let mut sizes = [0_u32; SHARDS as usize];
        for n in 0..10_000 {
            sizes[usize::from(shard_of(&name(n)))] += 1;
        }
        assert!(sizes.iter().max().unwrap() <= &70, "{scheme}: {:?}", sizes.iter().max());
    }
}

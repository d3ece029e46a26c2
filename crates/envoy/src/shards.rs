//! Which shard of a route table a host belongs to, as Envoy computes it and as we do.
//!
//! Envoy looks up a scope by a header, and the only thing that writes the header natively before the first route lookup
//! is a CEL expression without case folding, splitting or hashing. What it has is `matches`, a DFA run. So the hash is a
//! sum of yes-and-no questions, each a *parity automaton*: is the number of characters out of a class even, counted at
//! every `period`-th position from `phase` on? Ten of them with different classes and periods see every character.
//!
//! All of this is in the filter chain: **to change any constant here drains every connection** on the day of the upgrade.
//! `testdata/shards.txt` holds vectors that say so.

/// Shards of a table. 256 is the balance between the cost of an exact host's change (64 are slow at 50,000 hosts) and
/// that of a wildcard's, which stands in each (1,024 are dear).
pub const SHARDS: u16 = 256;
// Core counts what expressions cost Envoy by the places where they are compiled.
const _: () = assert!(SHARDS as u64 == portolan_core::gateway::judge::WILDCARD);

/// The header that carries the shard inside Envoy. It is overwritten on entry and removed before a backend.
pub const HEADER: &str = "x-portolan-scope";

/// A longer host, port included, is in shard 0 unseen: no hostname is longer than 253 characters, so it can only be
/// meant for a wildcard, and those are in every shard.
const LONGEST: usize = 1024;

struct Automaton {
    /// Lower-case characters whose number is counted; upper case counts with them.
    class: &'static str,
    period: usize,
    phase: usize,
    /// What an even number adds to the shard.
    weight: u32,
}

const fn automaton(class: &'static str, period: usize, phase: usize, weight: u32) -> Automaton {
    Automaton { class, period, phase, weight }
}

/// Found by a search over random classes of half the letters and digits for the smallest of the largest shards over ten
/// naming schemes of 10,000 hosts each (`docs/concepts/wire.md`).
const AUTOMATA: [Automaton; 10] = [
    automaton("03568cdfgnpqrstxyz", 1, 0, 1),
    automaton("01378cdefhjmnoswxz", 1, 0, 2),
    automaton("-.12369abcfnopqrtuvy", 2, 0, 4),
    automaton("12468abcefgklpquyz", 2, 1, 8),
    automaton("-.01256abefjklsvwxyz", 3, 0, 16),
    automaton("34569befilmnstuvyz", 3, 1, 32),
    automaton("-.12357abfhiklmpruvw", 3, 2, 64),
    automaton("-.01457acefghkmpstwx", 4, 0, 128),
    automaton("-01347abcfgjklmouwx", 4, 1, 79),
    automaton("02468abcdhijlrtuwy", 4, 2, 153),
];

/// What a hostname is made of, lower case.
const ALPHABET: &str = "-./0123456789abcdefghijklmnopqrstuvwxyz";

/// Any character of the alphabet. The slash makes one range of it up to `9`.
const ANY: &str = "[-./0-9A-Za-z]";

/// The shard of a host, as it stands in a route or in a request: case and a port do not matter.
pub fn shard_of(host: &str) -> u16 {
    if host.len() > LONGEST {
        return 0;
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name).as_bytes();
    if !name.iter().all(|c| ALPHABET.as_bytes().contains(&c.to_ascii_lowercase())) {
        return 0;
    }
    let sum: u32 = AUTOMATA.iter().filter(|a| a.even(name)).map(|a| a.weight).sum();
    u16::try_from(sum % u32::from(SHARDS)).unwrap_or(0)
}

impl Automaton {
    /// Whether the count is even. Only whole periods count: what is left at the end is not looked at.
    fn even(&self, name: &[u8]) -> bool {
        name.len() >= self.phase
            && name[self.phase..]
                .chunks_exact(self.period)
                .filter(|chunk| self.class.as_bytes().contains(&chunk[0].to_ascii_lowercase()))
                .count()
                .is_multiple_of(2)
    }

    /// The same question as a regular expression, within CEL's limits: a program of at most 100 instructions, so both
    /// cases are written out, and classes are of ASCII. It ends at the port, which it does not see.
    fn pattern(&self) -> String {
        let rest = ANY.repeat(self.period - 1);
        let without: String = ALPHABET.chars().filter(|c| !self.class.contains(*c)).collect();
        let (no, yes) = (class(&without) + &rest, class(self.class) + &rest);
        let lead = ANY.repeat(self.phase);
        let tail = format!("{ANY}?").repeat(self.period - 1);
        format!("^{lead}(?:{no}|{yes}(?:{no})*{yes})*{tail}(?::|$)")
    }
}

/// A class of characters in both cases, as ranges.
fn class(of: &str) -> String {
    let mut ranges: Vec<(char, char)> = Vec::new();
    let upper = of.chars().filter(char::is_ascii_lowercase).map(|c| c.to_ascii_uppercase());
    // A dash stands for itself where it is first.
    let (dash, mut all): (Vec<char>, Vec<char>) = of.chars().chain(upper).partition(|c| *c == '-');
    all.sort_unstable();
    for c in all {
        match ranges.last_mut() {
            Some((_, last)) if *last as u32 + 1 == c as u32 => *last = c,
            _ => ranges.push((c, c)),
        }
    }
    let mut text = String::from("[");
    text.extend(dash);
    for (first, last) in ranges {
        match last as u32 - first as u32 {
            0 => text.push(first),
            1 => text.extend([first, last]),
            _ => text.extend([first, '-', last]),
        }
    }
    text + "]"
}

/// The CEL expression that gives the shard of a request.
///
/// None of its functions can fail: a failed expression would leave the header to the client.
pub fn expression() -> String {
    let bits: Vec<String> = AUTOMATA
        .iter()
        .map(|a| format!("(request.host.matches(r'{}') ? {} : 0)", a.pattern(), a.weight))
        .collect();
    // Envoy's formatter takes `%` followed by a letter or a bracket for its own.
    format!("size(request.host) > {LONGEST} ? 0 : (({}) % {SHARDS})", bits.join(" + "))
}

#[cfg(test)]
mod tests;

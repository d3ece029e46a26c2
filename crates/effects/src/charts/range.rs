//! Ranges of versions as Helm reads them (Masterminds/semver `constraints.go`), for one question: whether the version that a lock names
//! may be what is asked for. Helm itself resolves ranges; what is written in a way that is not read here is not judged.

use semver::{Comparator, Op, Version, VersionReq};

/// Whether a version is in a range; `None` if the range or the version is not read here.
pub(super) fn holds(range: &str, version: &str) -> Option<bool> {
    let mut version = Version::parse(&full(version)).ok()?;
    let mut any = false;
    for side in range.split("||") {
        any |= all_of(side.trim(), &version)?;
    }
    if !any && !version.pre.is_empty() {
        // Which ranges let one in that is not released is a matter of flags: what its release would be in is not refused.
        version.pre = semver::Prerelease::EMPTY;
        for side in range.split("||") {
            any |= all_of(side.trim(), &version)?;
        }
    }
    Some(any)
}

/// Parts that all have to hold, between commas or blanks.
fn all_of(text: &str, version: &Version) -> Option<bool> {
    if let Some((from, to)) = text.split_once(" - ") {
        return Some(
            one(&format!(">={}", from.trim()), version)? && one(&format!("<={}", to.trim()), version)?,
        );
    }
    // A blank may stand between a sign and its version.
    let mut parts: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match parts.last_mut().filter(|_| open) {
            Some(sign) => sign.push_str(word),
            None => parts.push(word.to_owned()),
        }
        open = word.bytes().all(|byte| b"<>=!~^".contains(&byte));
    }
    parts.iter().try_fold(true, |all, part| Some(one(part, version)? && all))
}

fn one(text: &str, version: &Version) -> Option<bool> {
    let at = text.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(text.len());
    let (sign, rest) = text.split_at(at);
    let rest = rest.trim_start_matches('v');
    if rest.is_empty() || matches!(rest, "*" | "x" | "X") {
        return Some(sign != "!=");
    }
    let (numbers, tail) = rest.split_at(rest.find(['-', '+']).unwrap_or(rest.len()));
    let numbers: Vec<&str> =
        numbers.split('.').take_while(|part| !matches!(*part, "*" | "x" | "X")).collect();
    let whole = numbers.len() == 3;
    let written = format!("{}{}", numbers.join("."), if whole { tail } else { "" });
    let op = match sign {
        "" | "=" | "==" | "!=" => Op::Exact,
        "~" | "~>" => Op::Tilde,
        "^" => Op::Caret,
        ">" => Op::Greater,
        "<" => Op::Less,
        ">=" | "=>" => Op::GreaterEq,
        "<=" | "=<" => Op::LessEq,
        _ => return None,
    };
    let read = VersionReq::parse(&format!("={written}")).ok()?;
    let comparators = read.comparators.into_iter().map(|comparator| Comparator { op, ..comparator });
    let holds = VersionReq { comparators: comparators.collect() }.matches(version);
    Some(holds != (sign == "!="))
}

/// A version with all three numbers, without `v` and build metadata.
fn full(version: &str) -> String {
    let version = version.trim_start_matches('v').replace('_', "+");
    let version = version.split('+').next().unwrap_or_default();
    let (numbers, tail) = version.split_at(version.find('-').unwrap_or(version.len()));
    let missing = 2_usize.saturating_sub(numbers.matches('.').count());
    format!("{numbers}{}{tail}", ".0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_helm_reads_them() {
        for (range, yes, no) in [
            ("1.2", &["1.2.0", "v1.2.9"][..], &["1.3.0", "1.1.9"][..]),
            ("1.x", &["1.0.0", "1.9.1"], &["2.0.0"]),
            ("*", &["0.1.0", "9.0.0"], &[]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]),
            ("~1", &["1.9.0"], &["2.0.0"]),
            ("^1.2", &["1.2.0", "1.9.0"], &["2.0.0", "1.1.0"]),
            ("^0.2.3", &["0.2.4"], &["0.3.0"]),
            (">= 1.2, < 2", &["1.2.0", "1.9.9"], &["2.0.0", "1.1.0"]),
            (">=1.2 <2.0.0", &["1.5.0"], &["2.0.0"]),
            ("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6"]),
            ("<1 || >=3", &["0.9.0", "3.1.0"], &["1.0.0", "2.0.0"]),
            ("!=1.2.3", &["1.2.4"], &["1.2.3"]),
            ("^1.2.0-0", &["1.3.0-rc.1", "1.3.0"], &["2.0.0"]),
            ("^1.2", &["1.3.0-rc.1"], &["2.1.0-rc.1"]),
        ] {
            for version in yes {
                assert_eq!(holds(range, version), Some(true), "{range} {version}");
            }
            for version in no {
                assert_eq!(holds(range, version), Some(false), "{range} {version}");
            }
        }
        assert_eq!(
            (holds("latest", "1.0.0"), holds("^1", "main"), holds("=>=1", "1.0.0")),
            (None, None, None)
        );
    }
}

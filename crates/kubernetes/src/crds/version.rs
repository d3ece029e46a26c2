//! Versions of projects, as their tags are: `v1.7.0`, `v1.7.0-rc.1`.

/// A version that can be compared: of two with the same numbers the one without a suffix is the later one.
pub(super) fn parse(text: &str) -> Option<(Vec<u64>, bool, String)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, suffix) =
        text.split_once('-').map_or((text, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let numbers: Option<Vec<u64>> = numbers.split('.').map(|number| number.parse().ok()).collect();
    let mut numbers = numbers.filter(|numbers| numbers.len() <= 3)?;
    numbers.resize(3, 0);
    Some((numbers, suffix.is_none(), suffix.unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let ordered = ["v0.9.9", "v1.6.3", "v1.7.0-rc.1", "v1.7.0-rc.2", "v1.7", "v1.10.0", "v2.0.0"];
        let parsed: Vec<_> = ordered.iter().map(|text| parse(text).expect("a version")).collect();
        assert!(parsed.is_sorted_by(|a, b| a < b), "{parsed:?}");
        for text in ["", "main", "v1.x", "1.2.3.4", "-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

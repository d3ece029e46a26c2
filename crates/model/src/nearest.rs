//! The known word that a misspelt one most likely means.

/// The nearest of `known` within two edits (insert, remove, replace, swap of neighbours; case counts as nothing), if that
/// leaves most of the word as it is. Of several equally near the first counts.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = |other: &str| distance(&word, &other.to_lowercase());
    let best = known.into_iter().map(|other| (near(other), other)).min_by_key(|(edits, _)| *edits);
    best.filter(|(edits, other)| *edits <= 2 && edits * 3 < word.len().max(other.len()))
        .map(|(_, other)| other)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["hostname", "target", "ttl", "domainFilters"];
        for (word, meant) in [
            ("hostnames", Some("hostname")),
            ("hostnmae", Some("hostname")),
            ("HostName", Some("hostname")),
            ("domainFilter", Some("domainFilters")),
            ("targets", Some("target")),
            ("tll", None),
            ("host", None),
            ("weight", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}

//! What somebody may have meant.

/// The name that is the least different, if it is not very different.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let most = (name.chars().count() / 3).max(1);
    known
        .map(|known| (if known.eq_ignore_ascii_case(name) { 0 } else { distance(name, known, most) }, known))
        // Of a name of one letter nothing is left by a change.
        .filter(|(distance, _)| *distance <= most && *distance < name.chars().count().max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_owned())
}

/// Letters that are added, left out, exchanged or stand in each other's place; more than `most` are not counted.
fn distance(a: &str, b: &str, most: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return most + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_found_and_other_words_are_not() {
        let known = ["matches", "filters", "backendRefs", "timeouts", "name"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("matchs").as_deref(), Some("matches"));
        assert_eq!(near("backendrefs").as_deref(), Some("backendRefs"));
        assert_eq!(near("tiemouts").as_deref(), Some("timeouts"));
        assert_eq!(near("nmae").as_deref(), Some("name"));
        assert_eq!(near("retry"), None);
        assert_eq!(nearest("x", ["n", "xy"].into_iter()), None);
    }
}

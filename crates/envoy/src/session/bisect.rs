//! Finds the bad ones of a set that was refused as a whole, by asking about subsets.

/// A search under way. For each bad one among n it asks about at most 2 log2 n subsets; that the other half is bad is
/// concluded, not asked, where the first was accepted.
#[derive(Clone, Debug)]
pub struct Bisect<T> {
    /// Still to be looked at, next last.
    todo: Vec<Part<T>>,
    asked: Option<Vec<T>>,
    bad: Vec<(T, String)>,
}

#[derive(Clone, Debug)]
struct Part<T> {
    of: Vec<T>,
    /// It is refused, with these words.
    refused: Option<String>,
    /// It is refused with these words if the part above it is not.
    or_else: Option<String>,
}

impl<T: Clone> Bisect<T> {
    /// A search in what was refused.
    pub fn new(all: Vec<T>, words: String) -> Self {
        let todo = vec![Part { of: all, refused: Some(words), or_else: None }];
        Self { todo, asked: None, bad: Vec::new() }
    }

    /// The subset to ask about next; `None` when all bad ones are found.
    pub fn ask(&mut self) -> Option<&[T]> {
        while self.asked.is_none() {
            let part = self.todo.pop()?;
            match part.refused {
                None => self.asked = Some(part.of),
                Some(words) if part.of.len() == 1 => {
                    self.bad.extend(part.of.into_iter().map(|one| (one, words.clone())));
                }
                Some(words) if part.of.len() > 1 => {
                    let (first, second) = part.of.split_at(part.of.len() / 2);
                    self.todo.push(Part { of: second.to_vec(), refused: None, or_else: Some(words) });
                    self.todo.push(Part { of: first.to_vec(), refused: None, or_else: None });
                }
                Some(_) => {}
            }
        }
        self.asked.as_deref()
    }

    /// Takes the answer about the subset that was asked about.
    pub fn answer(&mut self, result: Result<(), String>) {
        let Some(of) = self.asked.take() else { return };
        let below = self.todo.last_mut();
        match result {
            Ok(()) => {
                if let Some(below) = below {
                    below.refused = below.or_else.take();
                }
            }
            Err(words) => {
                if let Some(below) = below {
                    below.or_else = None;
                }
                self.todo.push(Part { of, refused: Some(words), or_else: None });
            }
        }
    }

    /// The bad ones that were found, each with the words that it was refused with.
    pub fn found(self) -> Vec<(T, String)> {
        self.bad
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Asks until all is known; gives what was found and how often was asked.
    fn search(n: usize, bad: &[usize]) -> (Vec<usize>, usize) {
        let mut bisect = Bisect::new((0..n).collect(), "all".to_owned());
        let mut asked = 0;
        while let Some(set) = bisect.ask().map(<[usize]>::to_vec) {
            let refused = set.iter().any(|one| bad.contains(one));
            bisect.answer(if refused { Err(format!("{set:?}")) } else { Ok(()) });
            asked += 1;
            assert!(asked < 1000);
        }
        (bisect.found().into_iter().map(|(one, _)| one).collect(), asked)
    }

    #[test]
    fn one_bad_of_many_is_found_in_log_steps() {
        for n in [1, 2, 3, 5, 64, 100, 257] {
            for bad in 0..n {
                let (found, asked) = search(n, &[bad]);
                assert_eq!(found, [bad]);
                assert!(
                    asked <= 2 * n.next_power_of_two().ilog2() as usize,
                    "{asked} questions for one of {n}"
                );
            }
        }
    }

    #[test]
    fn every_set_of_bad_ones_is_found() {
        for bits in 1_u32..256 {
            let bad: Vec<usize> = (0..8).filter(|n| bits >> n & 1 == 1).collect();
            let (found, asked) = search(8, &bad);
            assert_eq!(found, bad);
            assert!(asked <= 6 * bad.len(), "{asked} questions for {bad:?}");
        }
        assert_eq!(search(0, &[]).0, [0; 0]);
    }

    #[test]
    fn what_depends_on_each_other_ends_the_search() {
        let mut bisect = Bisect::new(vec![1, 2, 3, 4], "together".to_owned());
        while bisect.ask().is_some() {
            bisect.answer(Ok(()));
        }
        assert_eq!(
            bisect.found(),
            [(4, "together".to_owned())],
            "concluded; the caller asks about the outcome"
        );
    }
}

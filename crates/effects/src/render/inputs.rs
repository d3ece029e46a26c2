//! Which paths a source was read from: what is touched outside of them cannot change it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::touched::Touched;

/// Paths that were looked at, each for itself and all that is below. A path where nothing was found counts too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    paths: BTreeSet<PathBuf>,
    /// A symbolic link was followed. Where links lead is not written down, so any change may be one of it.
    linked: bool,
}

impl Inputs {
    /// Notes that `path` was looked at.
    pub(super) fn add(&mut self, path: &Path) {
        if !self.covers(path) {
            self.paths.insert(path.to_owned());
        }
    }

    /// Notes that a symbolic link was followed.
    pub(super) fn follow_link(&mut self) {
        self.linked = true;
    }

    /// Whether something that was looked at may be different.
    pub(super) fn touched(&self, touched: &Touched) -> bool {
        match touched {
            Touched::All => true,
            Touched::Paths(paths) => {
                (self.linked && !paths.is_empty())
                    || paths.iter().any(|path| self.covers(path) || self.holds_below(path))
            }
        }
    }

    fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.paths.contains(above))
    }

    fn holds_below(&self, path: &Path) -> bool {
        // Paths are ordered part by part: what is below a path comes right after it.
        self.paths.range(path.to_owned()..).next().is_some_and(|next| next.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_touches_what_is_above_and_below_it() {
        let mut inputs = Inputs::default();
        inputs.add(Path::new("/r/charts/a"));
        inputs.add(Path::new("/r/charts/a/values.yaml"));
        inputs.add(Path::new("/r/shared/v.yaml"));
        assert_eq!(inputs.paths.len(), 2, "what is covered is not written down again");
        let touched =
            |path: &str| inputs.touched(&Touched::Paths([PathBuf::from(path)].into_iter().collect()));
        assert!(touched("/r/charts/a/templates/x.yaml"));
        assert!(touched("/r/shared/v.yaml"));
        assert!(touched("/r/charts") && touched("/r"));
        assert!(!touched("/r/charts/b") && !touched("/r/charts/ab") && !touched("/r/shared/v.yaml~"));
        assert!(inputs.touched(&Touched::All));
        assert!(!inputs.touched(&Touched::default()));
    }

    #[test]
    fn behind_a_link_everything_counts() {
        let mut inputs = Inputs::default();
        inputs.follow_link();
        assert!(inputs.touched(&Touched::Paths([PathBuf::from("/r/x")].into_iter().collect())));
        assert!(!inputs.touched(&Touched::default()));
    }
}

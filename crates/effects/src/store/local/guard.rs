//! The database checks itself with assertions: a damaged file may end in one. Here that is an error like any other.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what touches the file; an assertion that fails in it is a damaged file.
#[allow(clippy::result_large_err, reason = "redb's own error, boxed by the only caller")]
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let ended = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(outer);
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(redb::Error::Corrupted(text.unwrap_or_else(|| "an assertion failed".to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_an_error() {
        assert!(matches!(guarded(|| Ok(1)), Ok(1)));
        let failed = guarded(|| -> Result<(), redb::Error> { panic!("page {}", 7) });
        assert!(matches!(failed, Err(redb::Error::Corrupted(text)) if text == "page 7"));
    }
}

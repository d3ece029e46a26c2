//! Panics of rules: caught, with the place they came from, and not printed.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// A rule runs in this thread.
    static IN_RULE: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of a rule came from; known only to a panic hook.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Wraps the present panic hook: panics of rules are not printed any more, since they come back as
/// [`Held`](crate::Held), with the place in their message. All others go on to the hook that was there.
///
/// For the start of a program; a second call does nothing.
pub fn quiet_rules() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_RULE.get() {
                let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                PLACE.with_borrow_mut(|noted| *noted = place);
            } else {
                before(info);
            }
        }));
    });
}

/// Runs a rule; an error is what its panic says.
pub fn caught(run: impl FnOnce()) -> Result<(), String> {
    IN_RULE.set(true);
    let ended = catch_unwind(AssertUnwindSafe(run));
    IN_RULE.set(false);
    ended.map_err(|panic| {
        let text = message(&*panic);
        match PLACE.take() {
            Some(place) => format!("{text} ({place})"),
            None => text,
        }
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

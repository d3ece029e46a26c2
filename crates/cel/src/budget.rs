//! What an evaluation may cost. The crate's functions are plain function pointers, so the account is kept per thread;
//! an evaluation opens it, and everything happens on the thread that opened it.

use std::cell::Cell;

use cel::ExecutionError;

/// Steps that all expressions of one policy may take for one object. Kubernetes' limit for one expression is 1,000,000
/// units of cost, much the same size (`apiserver/pkg/apis/cel/config.go`, `PerCallLimit`).
pub const LIMIT: u64 = 1_000_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static SPENT: Cell<bool> = const { Cell::new(false) };
}

/// Opens the account.
pub fn open(limit: u64) {
    LEFT.set(limit);
    SPENT.set(false);
}

/// The account as it stands, to go on with on another thread.
pub fn state() -> (u64, bool) {
    (LEFT.get(), SPENT.get())
}

/// Goes on with an account.
pub fn resume((left, spent): (u64, bool)) {
    LEFT.set(left);
    SPENT.set(spent);
}

/// Whether the account was overdrawn: `||` can swallow the error, this cannot.
pub fn spent() -> bool {
    SPENT.get()
}

/// Takes `cost`, or says that nothing is left.
///
/// # Errors
/// Nothing is left, now and for the rest of the evaluation.
pub fn pay(cost: u64) -> Result<(), ExecutionError> {
    if let Some(left) = LEFT.get().checked_sub(cost) {
        LEFT.set(left);
        return Ok(());
    }
    LEFT.set(0);
    SPENT.set(true);
    Err(ExecutionError::function_error("cost", "out of budget"))
}

//! Nonces against replay (RFC 8555 §6.5): each is good once, the oldest are forgotten.

use std::collections::{HashSet, VecDeque};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Nonces that are remembered. A client that is told `badNonce` has a new one in the same answer.
const KEPT: usize = 4096;

/// The nonces that are out.
#[derive(Default)]
pub(super) struct Nonces {
    order: VecDeque<String>,
    unused: HashSet<String>,
}

impl Nonces {
    /// A new one.
    pub(super) fn make(&mut self) -> Option<String> {
        let nonce = random(16)?;
        while self.order.len() >= KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.unused.remove(&oldest);
            }
        }
        self.order.push_back(nonce.clone());
        self.unused.insert(nonce.clone());
        Some(nonce)
    }

    /// Whether it was out; it is not any more.
    pub(super) fn spend(&mut self, nonce: &str) -> bool {
        self.unused.remove(nonce)
    }
}

/// That many random bytes in base64url; `None` when the system has no randomness.
pub(super) fn random(bytes: usize) -> Option<String> {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).ok()?;
    Some(URL_SAFE_NO_PAD.encode(random))
}

//! When what Envoy refused is tried again although nothing about it has changed.

use portolan_core::gateway::rows::WireType;

/// Longest pause, in milliseconds.
const LONGEST: u64 = 60_000;

/// How long to wait after the `tries`-th refusal, in milliseconds; `None`: until it changes. A listener may be refused
/// for what other programs do (its port is taken), all else only for what it is.
pub fn after(r#type: WireType, tries: u32) -> Option<u64> {
    (r#type == WireType::Listener).then(|| 1_000_u64.saturating_mul(1 << tries.min(10)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_tried_again_ever_more_slowly() {
        let pauses: Vec<u64> = (1..9).filter_map(|tries| after(WireType::Listener, tries)).collect();
        assert_eq!(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(after(WireType::Listener, u32::MAX), Some(LONGEST));
        for other in [WireType::Cluster, WireType::Endpoints, WireType::Secret, WireType::VirtualHost] {
            assert_eq!(after(other, 1), None);
        }
    }
}

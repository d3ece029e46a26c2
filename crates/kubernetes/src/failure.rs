//! Why a request failed, as far as what to do next depends on it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

/// Why a request to the API server failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// 404: the object, or the resource itself, is not there.
    #[error("not found: {0}")]
    NotFound(Arc<str>),
    /// 409: it is another object, or another state of it; or one of the name is there already.
    #[error("conflict: {0}")]
    Conflict(Arc<str>),
    /// 410, or an `ERROR` event that says so: the version is not known any more. List again.
    #[error("expired: {0}")]
    Expired(Arc<str>),
    /// 401 and 403: not allowed to whoever asks.
    #[error("not allowed: {0}")]
    Forbidden(Arc<str>),
    /// 400, 413, 415, 422 and other answers that stay the same until what is sent is another.
    #[error("refused ({0}): {1}")]
    Refused(u16, Arc<str>),
    /// 429, or 503 with `Retry-After`: nothing was done, and when to come again.
    #[error("asked to come again later: {message}")]
    Throttled {
        /// Not before.
        after: Duration,
        /// In the words of the server.
        message: Arc<str>,
    },
    /// No answer, half an answer, or 5xx. Of a write: whether it was done is not known.
    #[error("no answer: {0}")]
    Unanswered(Arc<str>),
}

/// When to come again where a 429 does not say it.
const AFTER: Duration = Duration::from_secs(1);
/// Longest wait that a server's word is followed for.
const LONGEST: Duration = Duration::from_mins(2);

impl Failure {
    /// What an answer other than 2xx means. `body` is a `Status`, or whatever a proxy answered.
    pub fn of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let said = parsed.as_ref().filter(|json| json["kind"] == "Status");
        let message: Arc<str> = match said.and_then(|json| json["message"].as_str()) {
            Some(message) => message.into(),
            // A page of HTML tells nobody anything, and may be long.
            None => format!("the answer is {status} and no Status of Kubernetes").into(),
        };
        let seconds = retry_after.and_then(|text| text.trim().parse().ok());
        let seconds =
            seconds.or_else(|| said.and_then(|json| json.pointer("/details/retryAfterSeconds")?.as_u64()));
        let after = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST));
        match (status, after) {
            (404, _) => Self::NotFound(message),
            (409, _) => Self::Conflict(message),
            (410, _) => Self::Expired(message),
            (401 | 403, _) => Self::Forbidden(message),
            (429, after) => Self::Throttled { after: after.unwrap_or(AFTER), message },
            (503, Some(after)) => Self::Throttled { after, message },
            (408 | 500.., _) => Self::Unanswered(message),
            _ => Self::Refused(status, message),
        }
    }

    /// What the `Status` of an `ERROR` event in a watch means.
    pub fn of_event(status: &Value) -> Self {
        let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let expired = matches!(status["reason"].as_str(), Some("Expired" | "Gone"));
        let code = if expired { 410 } else { code.unwrap_or(500) };
        Self::of(code, None, status.to_string().as_bytes())
    }

    /// Whether the same request may be sent again at once or later, and may then be answered.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unanswered(_))
    }

    /// Not before, where the server says when.
    pub const fn after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { after, .. } => Some(*after),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(code: u16, reason: &str) -> Vec<u8> {
        json!({"kind": "Status", "code": code, "reason": reason, "message": "why", "details": {"retryAfterSeconds": 3}})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn answers_mean_what_is_to_be_done() {
        let why: Arc<str> = "why".into();
        let throttled =
            |seconds| Failure::Throttled { after: Duration::from_secs(seconds), message: why.clone() };
        for (code, header, wanted) in [
            (404, None, Failure::NotFound(why.clone())),
            (409, None, Failure::Conflict(why.clone())),
            (410, None, Failure::Expired(why.clone())),
            (401, None, Failure::Forbidden(why.clone())),
            (403, None, Failure::Forbidden(why.clone())),
            (422, None, Failure::Refused(422, why.clone())),
            (429, Some("7"), throttled(7)),
            (429, None, throttled(3)),
            (429, Some("999999"), throttled(120)),
            (503, Some("2"), throttled(2)),
        ] {
            assert_eq!(Failure::of(code, header, &status(code, "x")), wanted);
        }
        assert!(matches!(Failure::of(500, None, &status(500, "x")), Failure::Unanswered(_)));
        // A proxy's page is not repeated.
        let page = Failure::of(503, None, b"<html>secret</html>");
        assert_eq!(page, Failure::Unanswered("the answer is 503 and no Status of Kubernetes".into()));
        assert_eq!(
            Failure::of(429, Some("soon"), b"busy").after(),
            Some(Duration::from_secs(1)),
            "a date or a word is not followed"
        );
    }

    #[test]
    fn error_events_are_told_by_reason_too() {
        let event = |code: u64, reason: &str| {
            Failure::of_event(&json!({"kind": "Status", "code": code, "reason": reason}))
        };
        assert!(matches!(event(410, "Expired"), Failure::Expired(_)));
        assert!(matches!(event(504, "Gone"), Failure::Expired(_)));
        assert!(matches!(event(500, "InternalError"), Failure::Unanswered(_)));
        assert!(matches!(Failure::of_event(&json!({})), Failure::Unanswered(_)));
    }
}

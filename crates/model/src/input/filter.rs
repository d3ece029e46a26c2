//! What rules of routes do with their requests.
//! Source: Gateway API v1.7 `apis/v1/httproute_types.go`, `shared_types.go`.

use super::gateway::BackendTarget;
use crate::Name;

/// A filter of a rule or backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// `RequestHeaderModifier`.
    RequestHeaders(HeaderChange),
    /// `ResponseHeaderModifier`.
    ResponseHeaders(HeaderChange),
    /// `RequestRedirect`.
    Redirect(Redirect),
    /// `URLRewrite`.
    Rewrite {
        /// New Host.
        hostname: Option<Name>,
        /// New path.
        path: Option<PathChange>,
    },
    /// `RequestMirror`, all requests or a share of them in parts per million; above a million it is no share.
    Mirror {
        /// Where the copy goes.
        backend: BackendTarget,
        /// Share in parts per million.
        parts_per_million: u32,
    },
    /// `CORS`.
    Cors(Box<Cors>),
    /// A filter that is not enforced yet: the rule answers 500, as the specification asks for unsupported filters.
    Unsupported(Name),
}

/// Header changes: `set` replaces, `add` appends, `remove` drops; in this order of precedence as written upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderChange {
    /// Replaced or added.
    pub set: Vec<(Name, String)>,
    /// Appended.
    pub add: Vec<(Name, String)>,
    /// Dropped.
    pub remove: Vec<Name>,
}

/// `RequestRedirect`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redirect {
    /// New scheme.
    pub scheme: Option<Name>,
    /// New host.
    pub hostname: Option<Name>,
    /// New path.
    pub path: Option<PathChange>,
    /// New port as written.
    pub port: Option<u16>,
    /// Status code (302 by default); 0 if it is none.
    pub status: u16,
}

/// `HTTPPathModifier`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathChange {
    /// `ReplaceFullPath`.
    Full(Name),
    /// `ReplacePrefixMatch`.
    Prefix(Name),
}

/// `HTTPCORSFilter`: which pages of other origins may read the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cors {
    /// `scheme://host(:port)`, the host perhaps `*` or with `*.` before it; `*` alone is every origin.
    pub origins: Vec<Name>,
    /// Methods; `*` alone is every one.
    pub methods: Vec<Name>,
    /// Headers that a request may have; `*` alone is every one.
    pub headers: Vec<Name>,
    /// Headers of the answer that a page may read.
    pub expose: Vec<Name>,
    /// Whether a request may carry credentials.
    pub credentials: bool,
    /// For how many seconds the answer to a preflight request holds.
    pub max_age: u32,
}

/// How the requests of a rule are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// `timeouts.request` in milliseconds; 0 switches it off.
    pub request_timeout: Option<u64>,
    /// `timeouts.backendRequest` in milliseconds.
    pub backend_timeout: Option<u64>,
    /// `retry`.
    pub retry: Option<Retry>,
    /// `sessionPersistence`.
    pub session: Option<Session>,
}

/// `HTTPRouteRetry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Status codes of a backend that are no answer yet.
    pub codes: Vec<u32>,
    /// How often a request is sent again, beside the first time.
    pub attempts: u32,
    /// Base interval between attempts in milliseconds.
    pub backoff: Option<u64>,
}

/// `SessionPersistence`: requests of one session go to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What carries the session.
    pub carrier: Carrier,
    /// `absoluteTimeout` in milliseconds.
    pub lifetime: Option<u64>,
}

/// What a client carries its session in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A cookie; without a name it has one of ours.
    Cookie {
        /// Its name.
        name: Option<Name>,
        /// Its path.
        path: Name,
    },
    /// A header that the client sends back.
    Header(Name),
}

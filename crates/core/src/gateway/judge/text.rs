//! Characters and lengths.

/// Largest value and name of a header that Envoy adds: `HeaderValue`, 16 KiB each.
pub(super) const HEADER_BYTES: usize = 16_384;
/// Most headers that one route adds: `Route.request_headers_to_add`.
pub(super) const HEADERS: usize = 1000;
/// Longest name of a query parameter: `QueryParameterMatcher.name`.
pub(super) const QUERY_BYTES: usize = 1024;
/// Longest expression, path or other text of a match: no request that Envoy reads (60 KiB of headers) could match more.
pub(super) const TEXT_BYTES: usize = 16_384;

/// A character that would end or break a line of HTTP. A tab is none.
pub(super) fn breaks(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// A token of RFC 9110 §5.6.2: what the name of a header or a method consists of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Text for a message: short, and with nothing in it that a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    format!("{cut:?}{}", if cut.len() < text.len() { "…" } else { "" })
}

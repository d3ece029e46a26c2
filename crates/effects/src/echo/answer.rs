//! What a stand-in answers: the request as it came, as JSON; to gRPC an empty message.

use std::convert::Infallible;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, Version,
    header::{CONNECTION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::json;

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub(super) fn answer(request: &Request<Incoming>, service: Option<&str>) -> Response<Body> {
    let grpc =
        request.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        // Status 0 in the trailers: an empty answer that every gRPC client takes for success.
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = futures::stream::once(async move { Ok::<_, Infallible>(Frame::trailers(trailers)) });
        let mut response = Response::new(http_body_util::StreamBody::new(frames).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        return response;
    }
    let mut headers = serde_json::Map::new();
    for name in request.headers().keys() {
        let values: Vec<_> = request
            .headers()
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect();
        headers.insert(name.to_string(), values.join(", ").into());
    }
    let host = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .or_else(|| request.headers().get("host").and_then(|v| v.to_str().ok()).map(str::to_owned));
    let body = json!({
        "standIn": true,
        "service": service,
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(ToString::to_string),
        "host": host,
        "headers": headers,
    });
    let text = serde_json::to_string_pretty(&body).unwrap_or_default() + "\n";
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Envoy would keep the connection for an hour, and a probe is not followed by anything.
    let probe = request.headers().get(USER_AGENT).is_some_and(|agent| agent == crate::probe::USER_AGENT);
    if probe && request.version() < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

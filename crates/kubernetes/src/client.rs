//! The API server, as the rest of this crate speaks to it: paths and JSON, each request bounded in time, and failures told
//! apart by what is to be done about them.
//!
//! [`kube::Client`] brings TLS, credentials and their renewal. Its own retries are switched off ([`connect`]): whether a request
//! may be sent twice is known here only.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use crate::{Failure, Resource};

/// Longest wait for the answer to a request that is not a watch. API servers end requests after 60 s themselves.
const PATIENCE: Duration = Duration::from_secs(65);
/// Most of an answer that is read: whole pages of 500 large objects fit.
const MOST: usize = 1 << 30;

/// Sending `application/apply-patch+yaml`: server-side apply. JSON is YAML.
pub const APPLY: &str = "application/apply-patch+yaml";
/// Sending a JSON merge patch (RFC 7386).
pub const MERGE: &str = "application/merge-patch+json";
/// Asking for metadata alone.
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// How much of objects is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Much {
    /// All of them.
    Whole,
    /// Their metadata.
    Metadata,
}

/// A client as this crate wants it, from a configuration of whatever origin.
///
/// # Errors
/// When certificates or credentials of the configuration cannot be used.
pub fn connect(mut config: kube::Config) -> Result<kube::Client, Box<kube::Error>> {
    config.default_retry = false;
    kube::Client::try_from(config).map_err(Box::new)
}

/// The API server.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
}

/// An answer, and whether it says that something was made.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The object.
    pub json: Value,
    /// 201.
    pub created: bool,
}

impl Api {
    /// An API server behind a client, which [`connect`] makes.
    pub const fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(path, "application/json").await
    }

    /// Reads an object; `None` if it is not there.
    pub async fn find(&self, path: &str, much: Much) -> Result<Option<Value>, Failure> {
        let accept = if much == Much::Whole { "application/json" } else { METADATA };
        match self.ask(path, accept).await {
            Ok(json) => Ok(Some(json)),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads a page of a list.
    pub async fn page(&self, path: &str, much: Much) -> Result<Value, Failure> {
        self.ask(path, if much == Much::Whole { "application/json" } else { METADATA_LIST }).await
    }

    async fn ask(&self, path: &str, accept: &str) -> Result<Value, Failure> {
        let request = Request::get(path).header(header::ACCEPT, accept);
        Ok(self.send(request.body(Body::empty()), PATIENCE).await?.json)
    }

    /// Begins a watch; lines come until the server ends it.
    pub async fn watch(&self, path: &str, much: Much, silence: Duration) -> Result<Lines, Failure> {
        let accept = if much == Much::Whole { "application/json" } else { METADATA };
        // One gzip member an event is what newer servers send, and no decoder reads.
        let request = Request::get(path)
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty());
        let answer = self.open(request, silence.max(Duration::from_secs(30))).await?;
        let status = answer.status();
        if !status.is_success() {
            let after = retry_after(&answer);
            let body = collect(answer.into_body(), PATIENCE).await?;
            return Err(Failure::of(status.as_u16(), after.as_deref(), &body));
        }
        Ok(Lines { body: answer.into_body(), kept: Vec::new(), begun: 0, silence })
    }

    /// Sends a patch.
    pub async fn patch(&self, path: &str, form: &'static str, patch: &Value) -> Result<Answer, Failure> {
        self.write(Method::PATCH, path, form, patch).await
    }

    /// Makes an object; a [`Failure::Conflict`] if one of the name is there.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Answer, Failure> {
        self.write(Method::POST, path, "application/json", object).await
    }

    /// Replaces an object; with a resource version in it, that very state of it.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Answer, Failure> {
        self.write(Method::PUT, path, "application/json", object).await
    }

    /// Removes an object: the one of this uid, in this state. What it owns goes in the background.
    pub async fn delete(&self, path: &str, uid: &str, version: u64) -> Result<Answer, Failure> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": version.to_string()},
        });
        self.write(Method::DELETE, path, "application/json", &options).await
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        form: &'static str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let body = body.to_string().into_bytes();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, form);
        self.send(request.body(Body::from(body)), PATIENCE).await
    }

    async fn send(
        &self,
        request: http::Result<Request<Body>>,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let answer = self.open(request, patience).await?;
        let (status, after) = (answer.status(), retry_after(&answer));
        let body = collect(answer.into_body(), patience).await?;
        if !status.is_success() {
            return Err(Failure::of(status.as_u16(), after.as_deref(), &body));
        }
        let json = serde_json::from_slice(&body).map_err(|error| {
            Failure::Unanswered(format!("the answer is no JSON: {}", error.classify_text()).into())
        })?;
        Ok(Answer { json, created: status.as_u16() == 201 })
    }

    async fn open(
        &self,
        request: http::Result<Request<Body>>,
        patience: Duration,
    ) -> Result<http::Response<Body>, Failure> {
        let request = request.map_err(|error| Failure::Refused(400, error.to_string().into()))?;
        let sent = tokio::time::timeout(patience, self.client.send(request)).await;
        let sent = sent.map_err(|_| Failure::Unanswered(unanswered(patience)))?;
        sent.map_err(|error| Failure::Unanswered(words(&error)))
    }
}

fn unanswered(patience: Duration) -> Arc<str> {
    format!("nothing came within {} s", patience.as_secs()).into()
}

fn retry_after(answer: &http::Response<Body>) -> Option<String> {
    Some(answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.to_owned())
}

async fn collect(body: Body, patience: Duration) -> Result<Vec<u8>, Failure> {
    let whole = tokio::time::timeout(patience, http_body_util::Limited::new(body, MOST).collect()).await;
    let whole = whole.map_err(|_| Failure::Unanswered(unanswered(patience)))?;
    match whole {
        Ok(whole) => Ok(whole.to_bytes().to_vec()),
        Err(error) => Err(Failure::Unanswered(words(&*error))),
    }
}

/// An error with its causes: the outermost alone says only that a request failed.
fn words(error: &(dyn std::error::Error + 'static)) -> Arc<str> {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        // A plugin's output stands in it.
        if let Some(why) = error.downcast_ref() {
            return crate::cluster::of_credentials(why).into();
        }
        let more = error.to_string();
        if text.is_empty() {
            text = more;
        } else if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.into()
}

/// What is wrong with JSON, without repeating any of it.
trait ClassifyText {
    fn classify_text(&self) -> &'static str;
}

impl ClassifyText for serde_json::Error {
    fn classify_text(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is written wrong",
        }
    }
}

/// Longest line of a watch: etcd takes objects of 1.5 MiB, and JSON writes them longer.
const LINE: usize = 16 << 20;

/// The lines of a watch.
pub struct Lines {
    body: Body,
    /// What came and was not given out yet begins at `begun`.
    kept: Vec<u8>,
    begun: usize,
    silence: Duration,
}

impl Lines {
    /// The next line; `None` when the server has ended the watch in order.
    ///
    /// # Errors
    /// When the connection broke, or nothing came for too long, bookmarks neither.
    pub async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.kept[self.begun..].iter().position(|byte| *byte == b'\n') {
                let line = &self.kept[self.begun..self.begun + end];
                let parsed = serde_json::from_slice(line);
                self.begun += end + 1;
                return parsed.map(Some).map_err(|error| {
                    Failure::Unanswered(
                        format!("a line of the watch is no JSON: {}", error.classify_text()).into(),
                    )
                });
            }
            self.kept.drain(..self.begun);
            self.begun = 0;
            if self.kept.len() > LINE {
                return Err(Failure::Unanswered("a line of the watch has no end".into()));
            }
            let frame = tokio::time::timeout(self.silence, self.body.frame()).await;
            let frame = frame.map_err(|_| Failure::Unanswered(unanswered(self.silence)))?;
            match frame {
                // Half a line is no event: it comes again from the version before.
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.kept.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(Failure::Unanswered(words(&error))),
            }
        }
    }
}

impl Resource {
    /// Path of all objects, or those of a namespace.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            format!("{root}/namespaces/{}/{}", segment(namespace), self.plural)
        } else {
            format!("{root}/{}", self.plural)
        }
    }

    /// Path of one object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.path(namespace), segment(name))
    }
}

/// A text as part of a path or query. API servers allow more in names than paths do: `system:node`, a question mark.
pub(crate) fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

//! An API server on loopback that fails as it is told to. What it does right it does as the real one (which the rig runs);
//! it stores objects of one kind, `Thing.test.dev`, and events.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    response::Response,
};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

pub const THINGS: &str = "/apis/test.dev/v1/things";
const OBJECTS: &str = "/apis/test.dev/v1/namespaces/ns/things/";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/ns/events";

/// What a request meets instead of its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// This status, with `Retry-After` where it is not 0; nothing is done.
    Answer(u16, u64),
    /// A page of HTML, as from a proxy.
    Page,
    /// It is done, and the connection breaks before the answer has come.
    LostReply,
    /// A watch on which nothing ever comes.
    Silence,
    /// A watch on which this event comes, after those that are due.
    Event(Value),
    /// Nothing: the request is as any other.
    None,
}

/// The server.
#[derive(Clone)]
pub struct Server {
    held: Arc<Mutex<Held>>,
    version: watch::Sender<u64>,
    pub address: String,
}

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Value>,
    events: BTreeMap<String, Value>,
    log: Vec<(u64, Value)>,
    version: u64,
    /// Versions up to this are not known any more.
    compacted: u64,
    uids: u64,
    /// Faults of requests whose line begins so, in order.
    faults: Vec<(String, VecDeque<Fault>)>,
    /// `METHOD path?query` of all requests.
    requests: Vec<String>,
    serves: bool,
}

impl Server {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let held = Held { serves: true, version: 100, ..Held::default() };
        let server = Self { held: Arc::new(Mutex::new(held)), version: watch::Sender::new(100), address };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub fn client(&self) -> portolan_kubernetes::Client {
        let config = portolan_kubernetes::Config::new(self.address.parse().expect("an address"));
        portolan_kubernetes::connect(config).expect("a client")
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while it is held")
    }

    /// The next requests that begin so meet these, one each.
    pub fn fail(&self, begins: &str, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.push((begins.to_owned(), faults.into_iter().collect()));
    }

    /// How many requests began so.
    pub fn asked(&self, begins: &str) -> usize {
        self.lock().requests.iter().filter(|request| request.starts_with(begins)).count()
    }

    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Faults that nobody has met yet.
    pub fn left(&self) -> usize {
        self.lock().faults.iter().map(|(_, faults)| faults.len()).sum()
    }

    pub fn events(&self) -> Vec<Value> {
        self.lock().events.values().cloned().collect()
    }

    pub fn object(&self, name: &str) -> Option<Value> {
        self.lock().objects.get(name).cloned()
    }

    /// Somebody writes an object.
    pub fn put(&self, name: &str, mut object: Value) {
        let mut held = self.lock();
        object["apiVersion"] = "test.dev/v1".into();
        object["kind"] = "Thing".into();
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = "ns".into();
        held.store(name, object);
        self.version.send_replace(held.version);
    }

    /// Somebody removes an object.
    pub fn remove(&self, name: &str) {
        let mut held = self.lock();
        held.remove(name);
        self.version.send_replace(held.version);
    }

    /// Forgets what happened so far: watches from before are too old.
    pub fn compact(&self) {
        let mut held = self.lock();
        held.compacted = held.version;
    }
}

impl Held {
    fn store(&mut self, name: &str, mut object: Value) -> Value {
        let before = self.objects.get(name);
        let uid = before.map_or_else(
            || {
                self.uids += 1;
                format!("uid-{}", self.uids)
            },
            |old| text(&old["metadata"]["uid"]),
        );
        let generation = before.map_or(0, |old| old["metadata"]["generation"].as_i64().unwrap_or(0));
        let same = before.is_some_and(|old| old["spec"] == object["spec"]);
        object["metadata"]["uid"] = uid.into();
        object["metadata"]["generation"] = (generation + i64::from(!same)).into();
        if let Some(before) = before {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if *before == object {
                return object;
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let what = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.log.push((self.version, json!({"type": what, "object": object})));
        self.objects.insert(name.to_owned(), object.clone());
        object
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(mut gone) = self.objects.remove(name) else { return false };
        self.version += 1;
        gone["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.log.push((self.version, json!({"type": "DELETED", "object": gone})));
        true
    }

    fn fault(&mut self, request: &str) -> Fault {
        let of = self
            .faults
            .iter_mut()
            .find(|(begins, faults)| request.starts_with(begins.as_str()) && !faults.is_empty());
        of.and_then(|(_, faults)| faults.pop_front()).unwrap_or(Fault::None)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn json_answer(code: u16, json: &Value) -> Response {
    let status = StatusCode::from_u16(code).expect("a status");
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(json.to_string()))
        .expect("an answer")
}

fn refuse(code: u16) -> Response {
    json_answer(code, &json!({"kind": "Status", "code": code, "message": format!("told to answer {code}")}))
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let form = request
        .headers()
        .get("content-type")
        .and_then(|form| form.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let line = format!("{method} {path}?{query}");
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    let fault = {
        let mut held = server.lock();
        held.requests.push(line.clone());
        held.fault(&line)
    };
    match fault {
        Fault::Answer(code, after) => {
            let mut answer = refuse(code);
            if after > 0 {
                answer.headers_mut().insert("retry-after", after.into());
            }
            answer
        }
        Fault::Page => {
            Response::builder().status(502).body(Body::from("<html>no</html>")).expect("an answer")
        }
        Fault::Silence => Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())),
        Fault::LostReply => {
            drop(done(&server, &method, &path, &query, &form, &body, None));
            let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("broken"))]);
            Response::builder()
                .header("content-length", "100")
                .body(Body::from_stream(broken))
                .expect("an answer")
        }
        Fault::Event(event) => done(&server, &method, &path, &query, &form, &body, Some(event)),
        Fault::None => done(&server, &method, &path, &query, &form, &body, None),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn done(
    server: &Server,
    method: &Method,
    path: &str,
    query: &str,
    form: &str,
    body: &Bytes,
    last: Option<Value>,
) -> Response {
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut held = server.lock();
    let answer = if path == "/apis/test.dev/v1" && held.serves {
        json_answer(
            200,
            &json!({"resources": [
            {"name": "things", "kind": "Thing", "namespaced": true}, {"name": "things/status", "kind": "Thing", "namespaced": true}]}),
        )
    } else if path == THINGS && query.contains("watch=true") {
        watching(server, query, last)
    } else if path == THINGS {
        listed(&held, query)
    } else if let Some(name) = path.strip_prefix(OBJECTS) {
        let (name, status) = name.strip_suffix("/status").map_or((name, false), |name| (name, true));
        object(&mut held, method, name, status, form, &sent)
    } else if path.starts_with(EVENTS) {
        event(&mut held, method, path, &sent)
    } else if path.ends_with("/customresourcedefinitions") && query.contains("watch=true") {
        Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()))
    } else if path.ends_with("/customresourcedefinitions") {
        json_answer(200, &json!({"metadata": {"resourceVersion": "100"}, "items": []}))
    } else {
        refuse(404)
    };
    server.version.send_replace(held.version);
    answer
}

fn listed(held: &Held, query: &str) -> Response {
    let limit = parameter(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let from: usize = parameter(query, "continue").and_then(|token| token.parse().ok()).unwrap_or(0);
    let items: Vec<&Value> = held.objects.values().skip(from).take(limit).collect();
    let more = if from + items.len() < held.objects.len() {
        (from + items.len()).to_string()
    } else {
        String::new()
    };
    json_answer(
        200,
        &json!({"metadata": {"resourceVersion": held.version.to_string(), "continue": more}, "items": items}),
    )
}

fn watching(server: &Server, query: &str, last: Option<Value>) -> Response {
    let from: u64 = parameter(query, "resourceVersion").and_then(|from| from.parse().ok()).unwrap_or(0);
    let (server, version) = (server.clone(), server.version.subscribe());
    let events = stream::unfold(
        (server, version, from, last),
        |(server, mut version, from, mut last)| async move {
            loop {
                version.mark_unchanged();
                let due = {
                    let held = server.lock();
                    if from < held.compacted {
                        Some((
                            held.version,
                            json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}}),
                        ))
                    } else {
                        held.log.iter().find(|(at, _)| *at > from).cloned()
                    }
                };
                if let Some((at, event)) = due {
                    return Some((
                        Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))),
                        (server, version, at, last),
                    ));
                }
                if let Some(event) = last.take() {
                    return Some((Ok(Bytes::from(format!("{event}\n"))), (server, version, u64::MAX, None)));
                }
                if version.changed().await.is_err() {
                    return None;
                }
            }
        },
    );
    Response::new(Body::from_stream(events))
}

fn object(held: &mut Held, method: &Method, name: &str, status: bool, form: &str, sent: &Value) -> Response {
    let found = held.objects.get(name).cloned();
    match (method.as_str(), found) {
        ("GET", Some(found)) => json_answer(200, &found),
        ("PATCH", found) if form.contains("apply-patch") => {
            let uid = &sent["metadata"]["uid"];
            if !uid.is_null() && found.as_ref().is_none_or(|found| found["metadata"]["uid"] != *uid) {
                return refuse(409);
            }
            let created = found.is_none();
            let mut next = sent.clone();
            if let Some(found) = found {
                next["status"] = found["status"].clone();
            }
            next["metadata"]["managedFields"] = json!([{"manager": "portolan", "operation": "Apply"}]);
            let stored = held.store(name, next);
            json_answer(if created { 201 } else { 200 }, &stored)
        }
        ("PATCH", Some(found)) => {
            let version = &sent["metadata"]["resourceVersion"];
            if !version.is_null() && found["metadata"]["resourceVersion"] != *version {
                return refuse(409);
            }
            let mut next = found;
            if status {
                merge(&mut next["status"], &sent["status"]);
            } else {
                merge(&mut next, sent);
            }
            json_answer(200, &held.store(name, next))
        }
        ("DELETE", Some(found)) => {
            let wanted = &sent["preconditions"];
            if found["metadata"]["uid"] != wanted["uid"]
                || found["metadata"]["resourceVersion"] != wanted["resourceVersion"]
            {
                return refuse(409);
            }
            held.remove(name);
            json_answer(200, &json!({"kind": "Status", "status": "Success"}))
        }
        _ => refuse(404),
    }
}

fn event(held: &mut Held, method: &Method, path: &str, sent: &Value) -> Response {
    if *method == Method::POST {
        let name = text(&sent["metadata"]["name"]);
        if held.events.contains_key(&name) {
            return refuse(409);
        }
        held.events.insert(name, sent.clone());
        return json_answer(201, sent);
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some(found) = held.events.get_mut(name) else { return refuse(404) };
    merge(found, sent);
    json_answer(200, found)
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().map(|map| map.remove(key));
        } else {
            merge(&mut target[key], value);
        }
    }
}

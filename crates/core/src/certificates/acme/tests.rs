//! The machine against a scripted server: every request is answered as RFC 8555 says unless a fault is scripted for
//! it. Time jumps to each wake-up.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use portolan_model::Instant;
use serde_json::{Value, json};

use super::{
    Authorization, AuthorizationStatus, End, Event, KeyId, Limits, OrderState, OrderStatus, Payload, Reason,
    Response, Send, Task, Wanted, challenge_fqdn, dns01_value, retry::retry_after, step,
};

const T0: Instant = Instant(1_800_000_000_000);
const TOKENS: [&str; 2] = ["apex-token-0000000000000", "wild-token-0000000000000"];
const URN: &str = "urn:ietf:params:acme:error:";

struct Play {
    state: OrderState,
    now: Instant,
    /// What the server holds: status of the order and of each authorization.
    order: &'static str,
    authorizations: [&'static str; 2],
    /// What a validation ends in.
    verdict: &'static str,
    /// Answers out of the ordinary, each used once, for the first send of its task.
    faults: VecDeque<(Task, Event)>,
    log: Vec<Send>,
}

impl Play {
    fn new() -> Self {
        let wanted = Wanted {
            directory: "https://ca/dir".to_owned(),
            contact: vec!["mailto:ops@example.com".to_owned()],
            names: vec!["example.com".to_owned(), "*.example.com".to_owned()],
            thumbprint: "thumb".to_owned(),
        };
        Self {
            state: OrderState::new(wanted, Limits::default()),
            now: T0,
            order: "pending",
            authorizations: ["pending"; 2],
            verdict: "valid",
            faults: VecDeque::new(),
            log: Vec::new(),
        }
    }

    fn with(faults: impl IntoIterator<Item = (Task, Event)>) -> Self {
        Self { faults: faults.into_iter().collect(), ..Self::new() }
    }

    /// Runs to the end, or to `stop` sends.
    fn run(&mut self, stop: usize) -> Option<End> {
        let mut events = VecDeque::from([Event::Start]);
        let mut wake = None;
        while self.log.len() < stop {
            let event = match (events.pop_front(), wake) {
                (Some(event), _) => event,
                (None, Some(at)) => {
                    self.now = at;
                    Event::Woken
                }
                (None, None) => panic!("stuck: {:?}", self.state),
            };
            let sends;
            (self.state, sends) = step(self.state.clone(), event, self.now);
            wake = None;
            for send in sends {
                self.log.push(send.clone());
                match send {
                    Send::WaitUntil(at) => wake = Some(at),
                    Send::Done { .. } | Send::Failed(_) => return self.state.end.clone(),
                    other => events.extend(self.answer(&other)),
                }
            }
        }
        self.state.end.clone()
    }

    fn answer(&mut self, send: &Send) -> Option<Event> {
        let task = task_of(send)?;
        if let Some(at) = self.faults.iter().position(|(of, _)| *of == task) {
            return self.faults.remove(at).map(|(_, event)| event);
        }
        Some(self.ordinary(task))
    }

    fn ordinary(&mut self, task: Task) -> Event {
        let slot = |number: usize| number % 2;
        match task {
            Task::Directory => reply(
                task,
                200,
                &json!({"newNonce": "https://ca/nonce", "newAccount": "https://ca/acct", "newOrder": "https://ca/order"}),
            ),
            Task::Account => created(task, "https://ca/acct/1", &json!({"status": "valid"})),
            Task::NewOrder => created(task, "https://ca/order/1", &self.order_body()),
            Task::Order => {
                if self.order == "pending" && self.authorizations == ["valid"; 2] {
                    self.order = "ready";
                }
                reply(task, 200, &self.order_body())
            }
            Task::Authorization(n) => reply(task, 200, &self.authorization_body(slot(n))),
            Task::Present(_) => Event::Presented(task),
            Task::Visible(_) => Event::Visible(task),
            Task::Challenge(n) => {
                self.authorizations[slot(n)] = self.verdict;
                reply(task, 200, &json!({"type": "dns-01", "status": "processing"}))
            }
            Task::Finalize => {
                self.order = "valid";
                reply(task, 200, &self.order_body())
            }
            Task::Certificate => Event::Response {
                task,
                response: Response {
                    status: 200,
                    body: b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_vec(),
                    ..Response::default()
                },
            },
        }
    }

    fn order_body(&self) -> Value {
        json!({
            "status": self.order,
            "expires": T0.plus_millis(86_400_000).rfc3339(),
            "authorizations": ["https://ca/authz/0", "https://ca/authz/1"],
            "finalize": "https://ca/order/1/finalize",
            "certificate": (self.order == "valid").then_some("https://ca/cert/1"),
        })
    }

    fn authorization_body(&self, at: usize) -> Value {
        let error = json!({"type": format!("{URN}unauthorized"), "detail": "No TXT record\nfound"});
        let error = (self.authorizations[at] == "invalid").then_some(error);
        json!({
            "status": self.authorizations[at],
            "identifier": {"type": "dns", "value": "example.com"},
            "wildcard": at == 1,
            "challenges": [
                {"type": "http-01", "url": "https://ca/no", "status": "pending", "token": TOKENS[at]},
                {"type": "dns-01", "url": format!("https://ca/chal/{at}"), "status": "pending", "token": TOKENS[at],
        "error": error},
            ],
        })
    }

    fn count(&self, wanted: Task) -> usize {
        self.log.iter().filter(|send| task_of(send) == Some(wanted)).count()
    }

    fn position(&self, wanted: Task) -> usize {
        self.log.iter().position(|send| task_of(send) == Some(wanted)).unwrap()
    }

    fn cleaned(&self) -> Vec<&str> {
        let value = |send: &'_ Send| match send {
            Send::CleanUp { value, .. } => Some(value.clone()),
            _ => None,
        };
        let all: Vec<String> = self.log.iter().filter_map(value).collect();
        TOKENS.iter().filter(|t| all.contains(&dns01_value(t, "thumb"))).copied().collect()
    }
}

fn task_of(send: &Send) -> Option<Task> {
    match send {
        Send::Get { task, .. }
        | Send::Post { task, .. }
        | Send::Present { task, .. }
        | Send::CheckVisible { task, .. } => Some(*task),
        _ => None,
    }
}

fn reply(task: Task, status: u16, body: &Value) -> Event {
    Event::Response {
        task,
        response: Response { status, body: body.to_string().into_bytes(), ..Response::default() },
    }
}

fn created(task: Task, location: &str, body: &Value) -> Event {
    let Event::Response { task, response } = reply(task, 201, body) else { unreachable!() };
    Event::Response { task, response: Response { location: Some(location.to_owned()), ..response } }
}

fn problem(task: Task, status: u16, name: &str) -> (Task, Event) {
    (task, reply(task, status, &json!({"type": format!("{URN}{name}"), "detail": "the server's words"})))
}

fn later((task, event): (Task, Event), header: &str) -> (Task, Event) {
    let Event::Response { response, .. } = event else { unreachable!() };
    let response = Response { retry_after: Some(header.to_owned()), ..response };
    (task, Event::Response { task, response })
}

fn failed(end: Option<End>) -> super::Failure {
    match end {
        Some(End::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn apex_and_wildcard_are_validated_side_by_side() {
    let mut play = Play::new();
    assert!(matches!(play.run(200), Some(End::Done(_))));
    let presents: Vec<_> = play
        .log
        .iter()
        .filter_map(|send| match send {
            Send::Present { fqdn, value, .. } => Some((fqdn.as_str(), value.clone())),
            _ => None,
        })
        .collect();
    let value = |at: usize| dns01_value(TOKENS[at], "thumb");
    assert_eq!(
        presents,
        [("_acme-challenge.example.com", value(0)), ("_acme-challenge.example.com", value(1))]
    );
    // Both values stand before the server is told of either.
    assert!(play.position(Task::Visible(1)) < play.position(Task::Challenge(0)));
    assert_eq!(play.cleaned(), TOKENS);
    assert_eq!(play.state.status(), "valid");
    assert!(play.state.presented.is_empty());
}

#[test]
fn requests_are_described_as_rfc_8555_wants_them() {
    let mut play = Play::new();
    play.run(200);
    let post = |wanted| {
        let at = play.position(wanted);
        match &play.log[at] {
            Send::Post { url, nonce_url, key, payload, .. } => {
                assert_eq!(nonce_url, "https://ca/nonce");
                (url.clone(), key.clone(), payload.clone())
            }
            other => panic!("{other:?}"),
        }
    };
    let kid = KeyId::Account("https://ca/acct/1".to_owned());
    let account = json!({"termsOfServiceAgreed": true, "contact": ["mailto:ops@example.com"]});
    let order = json!({"identifiers": [{"type": "dns", "value": "example.com"}, {"type": "dns", "value": "*.example.com"}]});
    for (task, url, key, payload) in [
        (Task::Account, "https://ca/acct", KeyId::Jwk, Payload::Json(account)),
        (Task::NewOrder, "https://ca/order", kid.clone(), Payload::Json(order)),
        (Task::Authorization(1), "https://ca/authz/1", kid.clone(), Payload::Empty),
        (Task::Challenge(1), "https://ca/chal/1", kid.clone(), Payload::Json(json!({}))),
        (Task::Finalize, "https://ca/order/1/finalize", kid.clone(), Payload::Csr),
        (Task::Certificate, "https://ca/cert/1", kid, Payload::Empty),
    ] {
        assert_eq!(post(task), (url.to_owned(), key, payload), "{task:?}");
    }
}

#[test]
fn rate_limits_and_overload_wait_as_told_and_never_fail() {
    let date = T0.plus_millis(3_600_000).timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let tasks = [
        Task::Directory,
        Task::Account,
        Task::NewOrder,
        Task::Authorization(0),
        Task::Challenge(0),
        Task::Order,
        Task::Finalize,
        Task::Certificate,
    ];
    for task in tasks {
        for status in [429, 503] {
            for header in ["3600", date.as_str()] {
                let mut play = Play::with([later(problem(task, status, "rateLimited"), header)]);
                assert!(matches!(play.run(300), Some(End::Done(_))), "{task:?} {status} {header}");
                assert!(play.now >= T0.plus_millis(3_600_000), "{task:?} {status} {header} did not wait");
                assert!(play.now < T0.plus_millis(3_700_000), "{task:?} {status} {header} waited too long");
            }
        }
    }
}

#[test]
fn a_rate_limit_without_a_time_waits_longer_each_time() {
    let mut play = Play::with((0..30).map(|_| problem(Task::NewOrder, 429, "rateLimited")));
    play.state.limits.failures = 2;
    assert!(matches!(play.run(300), Some(End::Done(_))));
    assert_eq!(play.count(Task::NewOrder), 31);
    assert!(play.now > T0.plus_millis(20 * 3_600_000), "{}", play.now);
}

#[test]
fn nonces_are_retried_at_once_and_bounded() {
    let mut play = Play::with((0..10).map(|_| problem(Task::NewOrder, 400, "badNonce")));
    assert!(matches!(play.run(300), Some(End::Done(_))));
    assert_eq!(play.count(Task::NewOrder), 11);

    let mut play = Play::with((0..11).map(|_| problem(Task::NewOrder, 400, "badNonce")));
    let failure = failed(play.run(300));
    assert_eq!((failure.reason, play.now), (Reason::BadNonce, T0));
}

#[test]
fn polling_waits_as_told_beyond_its_own_bound() {
    let processing = |task| {
        let body = json!({"status": "processing", "authorizations": ["https://ca/authz/0", "https://ca/authz/1"],
            "finalize": "https://ca/order/1/finalize"});
        (task, reply(task, 200, &body))
    };
    // Order: finalize answers "processing", then the server asks for an hour.
    let mut play = Play::with([later(processing(Task::Finalize), "3600")]);
    assert!(matches!(play.run(300), Some(End::Done(_))));
    assert!(play.now >= T0.plus_millis(3_600_000));

    // Authorization: still pending after the challenge, twice two hours.
    let pending =
        json!({"status": "pending", "identifier": {"type": "dns", "value": "example.com"}, "challenges": []});
    let task = Task::Authorization(0);
    let mut play = Play::new();
    play.run(13);
    assert!(play.state.authorizations[0].answered, "{:?}", play.log);
    let mut state = play.state.clone();
    state.tracked.iter_mut().filter(|t| t.task == task).for_each(|t| t.under_way = true);
    for hours in [2_i64, 4] {
        let event = later((task, reply(task, 200, &pending)), "7200").1;
        let now = T0.plus_millis((hours - 2) * 3_600_000);
        state.tracked.iter_mut().filter(|t| t.task == task).for_each(|t| t.under_way = true);
        let (next, _) = step(state, event, now);
        assert_eq!(next.end, None);
        let not_before = next.tracked.iter().find(|t| t.task == task).unwrap().not_before;
        assert_eq!(not_before, T0.plus_millis(hours * 3_600_000));
        state = next;
    }
}

#[test]
fn polling_without_a_word_from_the_server_is_bounded() {
    let pending = json!({"status": "pending", "identifier": {"type": "dns", "value": "example.com"},
        "challenges": [{"type": "dns-01", "url": "https://ca/chal/0", "status": "processing", "token": TOKENS[0]}]});
    let task = Task::Authorization(0);
    let mut play = Play::with((0..500).map(|_| (task, reply(task, 200, &pending))));
    let failure = failed(play.run(2000));
    assert_eq!(failure.reason, Reason::TimedOut);
    assert!(failure.detail.contains("example.com"), "{}", failure.detail);
    assert!(play.state.order.is_some(), "the order can be taken up again");
    assert_eq!(play.cleaned().len(), 1, "only the value that was presented");
}

#[test]
fn valid_authorizations_are_not_proven_again() {
    let mut play = Play::new();
    play.authorizations = ["valid", "pending"];
    assert!(matches!(play.run(200), Some(End::Done(_))));
    assert_eq!((play.count(Task::Present(0)), play.count(Task::Present(1))), (0, 1));

    let mut play = Play::new();
    play.authorizations = ["valid"; 2];
    play.order = "ready";
    assert!(matches!(play.run(200), Some(End::Done(_))));
    assert!(!play.log.iter().any(|s| matches!(s, Send::Present { .. } | Send::CleanUp { .. })));
}

#[test]
fn an_invalid_authorization_ends_with_the_servers_words_and_cleans_up() {
    // Once after it was presented and answered, once from the start.
    for at_once in [false, true] {
        let mut play = Play { verdict: "invalid", ..Play::new() };
        if at_once {
            play.authorizations[0] = "invalid";
        }
        let failure = failed(play.run(200));
        assert_eq!(failure.reason, Reason::Invalid);
        assert!(failure.detail.contains("unauthorized: No TXT record found"), "{}", failure.detail);
        assert!(failure.retry_at > play.now);
        assert_eq!(play.state.order, None);
        assert_eq!(play.cleaned().len(), if at_once { 0 } else { 2 });
        assert!(play.state.presented.is_empty());
    }
}

#[test]
fn an_invalid_order_ends_with_the_servers_problem() {
    let body = json!({"status": "invalid", "error": {"type": format!("{URN}caa"), "detail": "CAA forbids",
        "subproblems": [{"type": format!("{URN}caa"), "detail": "issue \";\"",
            "identifier": {"type": "dns", "value": "example.com"}}]}});
    for task in [Task::Order, Task::Finalize] {
        let mut play = Play::with([(task, reply(task, 200, &body))]);
        let failure = failed(play.run(200));
        assert_eq!(failure.reason, Reason::Invalid);
        assert!(failure.detail.contains("caa: CAA forbids; example.com: caa issue"), "{}", failure.detail);
        assert_eq!(play.state.status(), "invalid");
    }
}

#[test]
fn refusals_end_the_order_and_say_what_was_refused() {
    for (task, status, name, word) in [
        (Task::Account, 400, "invalidContact", "newAccount"),
        (Task::Account, 403, "externalAccountRequired", "newAccount"),
        (Task::NewOrder, 400, "rejectedIdentifier", "newOrder"),
        (Task::Finalize, 400, "badCSR", "finalize"),
    ] {
        let mut play = Play::with([problem(task, status, name)]);
        let failure = failed(play.run(200));
        assert_eq!(failure.reason, Reason::Refused);
        assert!(failure.detail.contains(word) && failure.detail.contains(name), "{}", failure.detail);
        assert_eq!(failure.retry_at, play.now.plus_millis(3_600_000));
    }
}

#[test]
fn failures_that_pass_are_retried_and_bounded() {
    for task in [Task::Directory, Task::NewOrder, Task::Authorization(1), Task::Finalize, Task::Certificate] {
        let event = |n: usize| match n % 3 {
            0 => Event::Unreachable { task, detail: "connection refused".to_owned() },
            1 => problem(task, 500, "serverInternal").1,
            _ => reply(task, 200, &json!("<html>")),
        };
        // A page that is no JSON object is a proxy's; a download that is no PEM likewise.
        let mut play = Play::with((0..8).map(|n| (task, event(n))));
        assert!(matches!(play.run(300), Some(End::Done(_))), "{task:?} {:?}", play.state.end);
        let mut play = Play::with((0..9).map(|_| (task, event(0))));
        let failure = failed(play.run(300));
        assert_eq!(failure.reason, Reason::Unavailable, "{task:?}");
        assert!(failure.detail.contains("connection refused"));
    }
}

#[test]
fn records_that_cannot_be_written_or_seen_end_the_order() {
    let present = |_| {
        let task = Task::Present(0);
        (task, Event::NotPresented { task, detail: "403 from the provider".to_owned() })
    };
    let mut play = Play::with((0..3).map(present));
    assert!(matches!(play.run(300), Some(End::Done(_))));
    let mut play = Play::with((0..9).map(present));
    let failure = failed(play.run(300));
    assert_eq!(failure.reason, Reason::NotPresented);
    assert!(failure.detail.contains("_acme-challenge.example.com") && failure.detail.contains("403 from"));

    let unseen = |_| {
        let task = Task::Visible(1);
        (task, Event::NotVisible { task, detail: "ns2 answers NXDOMAIN".to_owned() })
    };
    let mut play = Play::with((0..10).map(unseen));
    assert!(matches!(play.run(300), Some(End::Done(_))));
    let mut play = Play::with((0..1000).map(unseen));
    let failure = failed(play.run(3000));
    assert_eq!(failure.reason, Reason::NotVisible);
    assert_eq!(play.count(Task::Challenge(0)), 0, "the server is not told while half of the set is missing");
    assert!(play.now <= T0.plus_millis(Limits::default().visible + 15_000), "a hard ceiling");
    assert!(play.count(Task::Visible(1)) < 60, "pauses grow");
    assert_eq!(play.cleaned(), TOKENS);
    assert!(play.state.order.is_some(), "the order can be taken up again");
}

#[test]
fn an_order_is_taken_up_again_from_its_url_at_any_point() {
    let mut whole = Play::new();
    whole.run(200);
    for stop in 1..whole.log.len() {
        let mut play = Play::new();
        play.run(stop);
        if play.state.end.is_some() {
            continue;
        }
        let stored = serde_json::to_string(&play.state).unwrap();
        let had_order = play.state.order.is_some();
        let mut next = Play { state: serde_json::from_str(&stored).unwrap(), log: Vec::new(), ..play };
        assert!(matches!(next.run(200), Some(End::Done(_))), "after {stop} sends");
        assert_eq!(next.count(Task::NewOrder), usize::from(!had_order), "after {stop} sends");
        assert!(next.state.presented.is_empty(), "after {stop} sends");
    }
}

#[test]
fn a_wait_that_the_server_asked_for_survives_a_restart() {
    let mut play = Play::with([later(problem(Task::NewOrder, 429, "rateLimited"), "7200")]);
    play.run(4);
    assert_eq!(play.log.last(), Some(&Send::WaitUntil(T0.plus_millis(7_200_000))));
    let stored = serde_json::to_vec(&play.state).unwrap();
    let (_, sends) = step(serde_json::from_slice(&stored).unwrap(), Event::Start, T0.plus_millis(1));
    assert_eq!(sends, [Send::WaitUntil(T0.plus_millis(7_200_000))]);
}

#[test]
fn a_lost_order_or_account_is_made_again_a_few_times() {
    let mut play = Play::with([problem(Task::Order, 404, "malformed")]);
    assert!(matches!(play.run(300), Some(End::Done(_))));
    assert_eq!(play.count(Task::NewOrder), 2);

    let mut play = Play::with([problem(Task::NewOrder, 400, "accountDoesNotExist")]);
    assert!(matches!(play.run(300), Some(End::Done(_))));
    assert_eq!(play.count(Task::Account), 2);

    let mut play = Play::with((0..9).map(|_| problem(Task::NewOrder, 400, "accountDoesNotExist")));
    assert_eq!(failed(play.run(300)).reason, Reason::Refused);
    assert_eq!(play.count(Task::NewOrder), 4);
}

#[test]
fn an_expired_order_is_replaced_a_few_times() {
    let mut play = Play::new();
    play.run(5);
    assert_eq!(play.state.order.as_ref().unwrap().status, OrderStatus::Pending);
    play.now = T0.plus_millis(2 * 86_400_000);
    // The server of this test hands out the same expiry for ever, as one with a wrong clock would.
    let failure = failed(play.run(300));
    assert_eq!((failure.reason, play.state.status()), (Reason::Expired, "expired"));
    assert_eq!(play.count(Task::NewOrder), 4);
}

#[test]
fn an_order_that_is_not_ready_is_looked_at_again() {
    let mut play = Play::with((0..3).map(|_| problem(Task::Finalize, 403, "orderNotReady")));
    assert!(matches!(play.run(300), Some(End::Done(_))));
    let mut play = Play::with((0..99).map(|_| problem(Task::Finalize, 403, "orderNotReady")));
    assert_eq!(failed(play.run(600)).reason, Reason::Refused);
}

#[test]
fn a_refused_challenge_counts_only_when_the_authorization_is_still_open() {
    let mut play = Play::with([problem(Task::Challenge(0), 400, "malformed")]);
    assert!(matches!(play.run(300), Some(End::Done(_))));
    let mut play = Play::with((0..2).map(|_| problem(Task::Challenge(0), 400, "malformed")));
    assert_eq!(failed(play.run(300)).reason, Reason::Refused);
}

#[test]
fn a_server_cannot_make_us_write_records_that_nobody_ordered() {
    let foreign = json!({"status": "pending", "identifier": {"type": "dns", "value": "victim.test"},
        "challenges": [{"type": "dns-01", "url": "https://ca/chal/0", "status": "pending", "token": TOKENS[0]}]});
    let mut play = Play::with([(Task::Authorization(0), reply(Task::Authorization(0), 200, &foreign))]);
    let failure = failed(play.run(300));
    assert_eq!(failure.reason, Reason::Protocol);
    assert!(failure.detail.contains("victim.test"));
    assert!(!play.log.iter().any(|s| matches!(s, Send::Present { fqdn, .. } if fqdn.contains("victim"))));

    let many: Vec<String> = (0..3).map(|n| format!("https://ca/authz/{n}")).collect();
    let body = json!({"status": "pending", "finalize": "https://ca/f", "authorizations": many});
    let mut play = Play::with([(Task::NewOrder, created(Task::NewOrder, "https://ca/order/1", &body))]);
    assert_eq!(failed(play.run(300)).reason, Reason::Protocol);
}

#[test]
fn without_dns_01_there_is_a_clear_end() {
    let http = json!({"status": "pending", "identifier": {"type": "dns", "value": "example.com"},
        "challenges": [{"type": "http-01", "url": "https://ca/c", "status": "pending", "token": TOKENS[0]}]});
    let mut play = Play::with([(Task::Authorization(0), reply(Task::Authorization(0), 200, &http))]);
    assert_eq!(failed(play.run(300)).reason, Reason::NoDnsChallenge);
}

#[test]
fn late_and_foreign_events_change_nothing() {
    let mut play = Play::new();
    play.run(8);
    let before = play.state.clone();
    for event in [
        Event::Presented(Task::Present(7)),
        Event::Visible(Task::Visible(1)),
        reply(Task::Finalize, 200, &json!({"status": "valid"})),
        problem(Task::Directory, 500, "serverInternal").1,
        Event::Unreachable { task: Task::Account, detail: String::new() },
    ] {
        let (after, _) = step(before.clone(), event.clone(), play.now);
        assert_eq!(after, before, "{event:?}");
    }
}

#[test]
fn retry_after_is_read_in_all_its_forms() {
    let hour = Some(T0.plus_millis(3_600_000));
    let at = T0.plus_millis(3_600_000).timestamp();
    for (text, expected) in [
        ("3600".to_owned(), hour),
        (" 3600 ".to_owned(), hour),
        (at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(), hour),
        (at.strftime("%A, %d-%b-%y %H:%M:%S GMT").to_string(), hour),
        (at.strftime("%a %b %e %H:%M:%S %Y").to_string(), hour),
        ("0".to_owned(), Some(T0.plus_millis(1_000))),
        ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), Some(T0.plus_millis(1_000))),
        ("99999999999999999999999".to_owned(), Some(T0.plus_millis(7 * 86_400_000))),
        (String::new(), None),
        ("-5".to_owned(), None),
        ("soon".to_owned(), None),
    ] {
        assert_eq!(retry_after(&text, T0), expected, "{text:?}");
    }
}

#[test]
fn key_authorization_is_hashed_as_rfc_8555_says() {
    // SHA-256 of "token.thumb", computed with coreutils and base64url'd.
    assert_eq!(dns01_value("token", "thumb"), "lCdftpJCXapaZHkBGIZbcubeKW8RmA0jSG_aZN01zbU");
    assert_eq!(challenge_fqdn("*.a.example"), "_acme-challenge.a.example");
    assert_eq!(challenge_fqdn("a.example"), "_acme-challenge.a.example");
}

#[test]
fn progress_can_be_shown() {
    let mut play = Play::new();
    play.run(10);
    let shown = |one: &Authorization| (one.name.clone(), one.status, one.presented);
    assert_eq!(
        play.state.authorizations.iter().map(shown).collect::<Vec<_>>(),
        [
            ("example.com".to_owned(), AuthorizationStatus::Pending, true),
            ("*.example.com".to_owned(), AuthorizationStatus::Pending, true)
        ]
    );
    assert_eq!(play.state.status(), "pending");
    assert_eq!(play.state.record_sets()["_acme-challenge.example.com"].len(), 2);
}

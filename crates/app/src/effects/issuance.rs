//! What signing and ordering have in common: one issuance a certificate, and what is told of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portolan_core::{
    capability::Capability,
    certificates::rows::{Issuance, IssuanceKey, IssueFailure, IssueWanted, OrderProgress, Outcome, Signer},
};
use portolan_effects::{
    converge::{Backoff, Converge, Limits, Mark, Ticket, Work},
    issue::{Issued, PrivateKey},
    sign,
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{Code, NamespacedName, Object, ObjectKey};
use tokio::time::Instant;

use super::{Context, OURS, Platform, context::Submitted, now, seed};

/// Of a task that was lost. When a failure is tried again is decided by the room: its row goes, and comes again.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };

/// Something that was asked for could not be issued.
const NOT_ISSUED: Code = Code(312);
/// Something could not be written.
const NOT_WRITTEN: Code = Code(102);

/// A certificate that was made.
pub struct Made {
    secret: Object,
    issued: Issued,
}

impl Made {
    /// The Secret for it, which holds the key.
    pub fn new(wanted: &IssueWanted, issued: Issued, key: &PrivateKey) -> Result<Box<Self>, String> {
        let secret = sign::secret(wanted, &issued, key, now())?;
        Ok(Box::new(Self { secret, issued }))
    }
}

/// A row to work on.
pub type Wanted = Work<NamespacedName, Arc<IssueWanted>>;

/// Certificates that are being made in one way.
pub struct Issuances {
    /// Signers whose certificates are made so.
    by: fn(&Signer) -> bool,
    rows: Converge<NamespacedName, Arc<IssueWanted>>,
    /// Requests, PEM, once they are made. Kept here too: a fact that was put cannot be read back before the next step.
    requests: BTreeMap<NamespacedName, String>,
    /// What was made and is being written.
    written: Vec<(Ticket<NamespacedName>, ObjectKey, Issued, Submitted)>,
    /// Whether anything may be begun.
    acts: bool,
}

impl Issuances {
    /// None is wanted yet.
    pub fn new(by: fn(&Signer) -> bool, budget: usize) -> Self {
        let rows = Converge::new(Limits { budget, backoff: BACKOFF }, seed());
        Self { by, rows, requests: BTreeMap::new(), written: Vec::new(), acts: false }
    }

    /// Takes what is newly wanted, and gives up what no longer is.
    pub fn follow(&mut self, step: &Changes, cx: &mut Context<impl Platform>) {
        for change in step.of::<IssueWanted>() {
            match change.after.as_ref().filter(|wanted| (self.by)(&wanted.signer)) {
                Some(wanted) => {
                    if self.rows.want(change.key.clone(), Arc::clone(wanted), Instant::now()) {
                        self.requests.remove(&change.key);
                        // What an earlier attempt at this revision left.
                        cx.forget_issuance(&(change.key.clone(), wanted.revision));
                    }
                }
                None => {
                    if let Some(given_up) = self.rows.forget(&change.key) {
                        self.requests.remove(&change.key);
                        cx.forget_issuance(&(change.key.clone(), given_up.revision));
                    }
                }
            }
        }
    }

    /// What is to be begun now; nothing while certificates are not ours to make.
    pub fn begin(&mut self, cx: &mut Context<impl Platform>) -> Vec<Wanted> {
        self.acts = cx.acts(Capability::Certificates);
        if !self.acts {
            return Vec::new();
        }
        let begun = self.rows.begin(Instant::now());
        let (refused, begun): (Vec<Wanted>, Vec<Wanted>) =
            begun.into_iter().partition(|work| cx.in_place_of_a_ca(&work.wanted).is_some());
        for work in refused {
            let why = cx.in_place_of_a_ca(&work.wanted).unwrap_or_default();
            self.failed(work.ticket, (NOT_ISSUED, None), why, cx);
        }
        begun
    }

    /// Whether something is under way.
    pub fn is_busy(&self) -> bool {
        !self.rows.is_idle()
    }

    /// When something is due.
    pub fn due(&self) -> Option<Instant> {
        self.rows.due().filter(|_| self.acts)
    }

    /// Whether certificates were ours to make when it was asked last.
    pub const fn acts(&self) -> bool {
        self.acts
    }

    /// Gives all up.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// What is wanted, if a work is still for that.
    pub fn current(&self, mark: &Mark<NamespacedName>) -> Option<&Arc<IssueWanted>> {
        self.rows.current(mark)
    }

    /// The key is made and the request signed: what is asked of the issuer can be shown.
    pub fn requested(
        &mut self,
        mark: &Mark<NamespacedName>,
        request: String,
        cx: &mut Context<impl Platform>,
    ) {
        let Some(wanted) = self.rows.current(mark).map(Arc::clone) else { return };
        self.requests.insert(mark.key.clone(), request.clone());
        let key = (mark.key.clone(), wanted.revision);
        cx.engine.put(Issuance { key, wanted, request, outcome: Outcome::Pending });
        cx.facts = true;
    }

    /// It has ended. Only the latest request counts: what was made for a request that changed meanwhile is thrown away.
    pub fn made(
        &mut self,
        ticket: Ticket<NamespacedName>,
        result: Result<Box<Made>, String>,
        cx: &mut Context<impl Platform>,
    ) {
        let made = match result {
            Ok(made) => made,
            Err(message) => return self.failed(ticket, (NOT_ISSUED, None), message, cx),
        };
        if self.rows.current(ticket.mark()).is_none() {
            return;
        }
        let Made { secret, issued } = *made;
        let key = secret.key.clone();
        let submitted = cx.submit(vec![Write::Apply(Box::new(secret), OURS)]);
        self.written.push((ticket, key, issued, submitted));
        self.take_written(cx);
    }

    /// Takes what was written, or could not be.
    pub fn take_written(&mut self, cx: &mut Context<impl Platform>) {
        for (ticket, secret, issued, mut submitted) in std::mem::take(&mut self.written) {
            let Some(problems) = submitted.outcome(&secret) else {
                self.written.push((ticket, secret, issued, submitted));
                continue;
            };
            if let Some(problem) = problems.into_iter().next() {
                // Not kept, so it counts as not made: the request stands and is tried again.
                self.failed(ticket, (problem.code, None), problem.message, cx);
                continue;
            }
            let Some((wanted, request)) = self.end(ticket) else { continue };
            cx.engine.remove::<IssueFailure>(&wanted.key);
            let outcome = Outcome::Issued { certificate: issued.chain, ca: issued.ca };
            came_of(&wanted, request, outcome, cx);
            cx.facts = true;
        }
    }

    /// Notes a failure with its code and the time before which no other try makes sense, counted while the request stays the same.
    pub fn failed(
        &mut self,
        ticket: Ticket<NamespacedName>,
        (code, not_before): (Code, Option<portolan_model::Instant>),
        message: String,
        cx: &mut Context<impl Platform>,
    ) {
        let Some((wanted, request)) = self.end(ticket) else { return };
        let at = now();
        came_of(&wanted, request, Outcome::Failed { message: message.clone(), at }, cx);
        let earlier = cx.engine.get::<IssueFailure>(&wanted.key).filter(|earlier| earlier.wanted == *wanted);
        cx.engine.put(IssueFailure {
            key: wanted.key.clone(),
            wanted: (*wanted).clone(),
            code,
            message,
            failed_at: at,
            attempts: earlier.map_or(1, |earlier| earlier.attempts.saturating_add(1)),
            not_before,
        });
        cx.facts = true;
    }

    fn end(&mut self, ticket: Ticket<NamespacedName>) -> Option<(Arc<IssueWanted>, Option<String>)> {
        let wanted = self.rows.end(ticket)?;
        let request = self.requests.remove(&wanted.key);
        Some((wanted, request))
    }
}

/// Notes what came of an issuance whose request was made.
fn came_of(
    wanted: &Arc<IssueWanted>,
    request: Option<String>,
    outcome: Outcome,
    cx: &mut Context<impl Platform>,
) {
    if let Some(request) = request {
        let key = (wanted.key.clone(), wanted.revision);
        cx.engine.put(Issuance { key, wanted: Arc::clone(wanted), request, outcome });
    }
}

impl<P: Platform> Context<P> {
    /// Nothing is told of an issuance any more.
    pub fn forget_issuance(&mut self, issuance: &IssuanceKey) {
        self.engine.remove::<Issuance>(issuance);
        self.engine.remove::<OrderProgress>(issuance);
        self.facts = true;
    }

    /// What was issued and could not be kept is issued again, now that the store can be written.
    pub fn issue_again(&mut self) {
        let unkept = self.engine.rows::<IssueFailure>().filter(|failure| failure.code == NOT_WRITTEN);
        let unkept: Vec<NamespacedName> = unkept.map(|failure| failure.key.clone()).collect();
        for key in unkept {
            self.engine.remove::<IssueFailure>(&key);
            self.facts = true;
        }
    }
}

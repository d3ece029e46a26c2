//! Orders at ACME servers: one task a certificate. Every ACME server is the embedded development CA, which proves names
//! through the embedded DNS.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portolan_core::certificates::{
    acme::{Failure, Limits, OrderState, Wanted},
    rows::{IssueWanted, OrderProgress, Signer},
};
use portolan_core::dns::observe::last_two_labels;
use portolan_effects::{
    acme::{
        AccountKey, Bounds, Challenges, Client, NotedChallenges, Outcome, ProviderChallenges, Reach, Run,
        drive_until,
    },
    acme_ca::{self, DevCa, Handle, Settings},
    dns::{DnsProvider, DurableDns},
    issue::{Issued, request_pem},
    sign::{self, Prepared},
    state_dir::StateDir,
};
use portolan_model::{
    Name, NamespacedName, Redacted,
    dns::zone_for,
    input::{Issuer, IssuerSpec, Secret},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Driver, Event, now, signing::Made};

/// File of the state directory that holds the development CA.
const FILE: &str = "development-ca.pem";

/// How long orders have to end when the program does.
const PATIENCE: Duration = Duration::from_secs(3);

/// The embedded development CA, and the orders that are under way at it.
pub struct Acme {
    ca: Handle,
    /// Root of what it signs, PEM.
    root: String,
    dns: Arc<DurableDns>,
    challenges: Arc<dyn Challenges>,
    clients: BTreeMap<NamespacedName, Arc<Client>>,
    orders: BTreeMap<NamespacedName, Order>,
}

/// One order's task. Dropping it gives the order up: the task then takes its TXT values away and ends.
struct Order {
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Acme {
    /// Starts the development CA of this state; it is made at the first start.
    ///
    /// # Errors
    /// When it cannot be read, made, kept, or cannot listen.
    pub async fn start(listen: SocketAddr, dns: Arc<DurableDns>, state: &StateDir) -> anyhow::Result<Self> {
        anyhow::ensure!(
            listen.ip().is_loopback() || listen.ip().is_unspecified(),
            "--acme-listen {listen} is not a loopback address; the development CA vouches for any name"
        );
        let path = state.path().join(FILE);
        let kept = match std::fs::read(&path) {
            Ok(bytes) => {
                let kept = DevCa::from_pem(&Redacted::new(bytes))
                    .with_context(|| format!("the development CA in {} cannot be used", path.display()))?;
                // Renewed a year before its end: what it signs lasts 90 days.
                Some(kept).filter(|ca| ca.not_after().plus_millis(-365 * 86_400_000) > now())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let ca = if let Some(ca) = kept {
            ca
        } else {
            let made = DevCa::generate(now())?;
            state.write(FILE, made.to_pem()?.expose()).context("the development CA cannot be kept")?;
            made
        };
        let root = ca.root_pem();
        let settings = Settings::new(listen, dns.servers());
        let ca = acme_ca::serve(ca, settings, Arc::new(now))
            .await
            .with_context(|| crate::instance::taken("--acme-listen", listen, state.path()))?;
        let challenges = Arc::new(ProviderChallenges::new(Arc::clone(&dns) as Arc<dyn DnsProvider>));
        let challenges = NotedChallenges::open(challenges, state.path())?;
        // The CA that made these orders ended with its process, so none of them is taken up again.
        challenges.purge().await;
        let challenges = Arc::new(challenges);
        Ok(Self { ca, root, dns, challenges, clients: BTreeMap::new(), orders: BTreeMap::new() })
    }

    /// Its directory, as its own host names it.
    pub fn directory(&self) -> String {
        self.ca.directory_url()
    }

    /// Where TXT values are written.
    pub fn challenges(&self) -> Arc<dyn Challenges> {
        Arc::clone(&self.challenges)
    }

    /// Where the development CA listens.
    pub fn address(&self) -> SocketAddr {
        self.ca.local_addr()
    }

    /// Sees to it that the embedded DNS has a zone for a name: the last two labels where no zone holds it.
    fn hold(&self, name: &str) -> Result<(), String> {
        let name = name.strip_prefix("*.").unwrap_or(name);
        if zone_for(name, &self.dns.zone_names()).is_some() {
            return Ok(());
        }
        let zone = last_two_labels(name).ok_or_else(|| format!("{name} is not a domain name"))?;
        self.dns.add_zone(&zone).map_err(|error| error.to_string())
    }

    /// Gives up what is under way and waits a moment for the DNS to be left clean.
    pub async fn finish(&mut self) {
        let tasks: Vec<JoinHandle<()>> =
            std::mem::take(&mut self.orders).into_values().map(|order| order.task).collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("an order did not end in time; a challenge's TXT value may be left behind");
        }
    }

    /// Root of what it signs, PEM.
    pub fn root(&self) -> &str {
        &self.root
    }
}

impl Driver {
    /// Begins an order; one for an earlier request of the same certificate is given up.
    pub(super) fn order(&mut self, wanted: &Arc<IssueWanted>) {
        let Signer::Acme(acme) = &wanted.signer else { return };
        self.give_up(&wanted.key);
        let ready = self.client(&acme.account_key, &acme.entry).and_then(|client| {
            acme.proofs.iter().try_for_each(|proof| self.acme.hold(&proof.name)).map(|()| client)
        });
        let client = match ready {
            Ok(client) => client,
            Err(why) => {
                let _ = self.events.send(Event::Signed(Box::new((**wanted).clone()), Err(why)));
                return;
            }
        };
        let present = self.engine.get::<Secret>(&wanted.secret);
        let names = acme.proofs.iter().map(|proof| proof.name.to_string()).collect();
        let contact = acme.contact.iter().map(ToString::to_string).collect();
        let directory = self.acme.ca.directory_url();
        let state = OrderState::new(
            Wanted { directory, contact, names, thumbprint: client.thumbprint() },
            // The embedded servers answer at once, so the first look again comes soon.
            Limits { poll_first: 50, ..Limits::default() },
        );
        let (events, challenges) = (self.events.clone(), Arc::clone(&self.acme.challenges));
        let (key, wanted) = (wanted.key.clone(), Arc::clone(wanted));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let prepared = {
                let wanted = Arc::clone(&wanted);
                tokio::task::spawn_blocking(move || sign::prepare(&wanted, present.as_deref())).await
            };
            let result = match prepared.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(Prepared { key, request }) => {
                    let own = Box::new((*wanted).clone());
                    let _ = events.send(Event::Requested(own, request_pem(&request)));
                    let run = Run { client, csr: request, challenges, bounds: Bounds::default() };
                    match carry_out(state, run, &wanted, &events, stopped).await {
                        Ok(None) => return,
                        Ok(Some(chain)) => {
                            let issued = Issued { chain, ca: String::new() };
                            Made::new(&wanted, issued, &key)
                        }
                        Err(failure) => {
                            let _ = events.send(Event::OrderFailed(Box::new((*wanted).clone()), failure));
                            return;
                        }
                    }
                }
                Err(why) => Err(why),
            };
            let _ = events.send(Event::Signed(Box::new((*wanted).clone()), result));
        });
        self.acme.orders.insert(key, Order { _stop: stop, task });
    }

    /// Gives an order up; its task takes away what it had written to the DNS.
    pub(super) fn give_up(&mut self, certificate: &NamespacedName) {
        self.acme.orders.remove(certificate);
    }

    /// Notes how far an order is.
    pub(super) fn ordered(&mut self, certificate: NamespacedName, state: OrderState) {
        let Some(revision) = self.signing.get(&certificate).map(|signing| signing.wanted.revision) else {
            return;
        };
        if self.acme.orders.contains_key(&certificate) {
            self.engine.put(OrderProgress { key: (certificate, revision), state: Arc::new(state) });
            self.facts = true;
        }
    }

    pub(super) fn order_failed(&mut self, wanted: &IssueWanted, failure: Failure) {
        let Some(signing) = self.end_signing(wanted) else { return };
        // The task has ended by itself, which took away what it had written.
        self.give_up(&wanted.key);
        // The pause that `Failure::retry_at` names spares the limits of public servers; the embedded one has none, so the
        // room's own pause is enough.
        self.issue_failed(&signing, failure.reason.code(), failure.detail, None);
    }

    /// The client of an account, whose key stands in a Secret as cert-manager keeps it.
    pub(super) fn client(
        &mut self,
        account_key: &NamespacedName,
        entry: &Name,
    ) -> Result<Arc<Client>, String> {
        let secret = self.engine.get::<Secret>(account_key);
        let pem = secret.as_ref().and_then(|s| s.data.get(entry));
        let pem = pem.ok_or_else(|| format!("Secret {account_key} holds no account key ({entry})"))?;
        let key = AccountKey::from_pem(pem)
            .map_err(|error| format!("the account key in Secret {account_key}: {error}"))?;
        if let Some(client) = self.acme.clients.get(account_key)
            && client.thumbprint() == key.thumbprint()
        {
            return Ok(Arc::clone(client));
        }
        let reach = Reach::Only(self.acme.ca.client_addr());
        let client = Client::new(key, &self.acme.root, reach).map_err(|error| error.to_string())?;
        let client = Arc::new(client);
        self.acme.clients.insert(account_key.clone(), Arc::clone(&client));
        Ok(client)
    }

    /// What stands in for something else around ACME, one sentence each.
    pub(super) fn acme_substitutions(&self) -> Vec<String> {
        let mut providers: BTreeSet<Name> = BTreeSet::new();
        let mut lines = Vec::new();
        for issuer in self.engine.rows::<Issuer>() {
            if let IssuerSpec::Acme { server, solvers, .. } = &issuer.spec {
                lines.push(format!(
                    "ACME server {server} of {} is the embedded development CA at {}",
                    issuer.key,
                    self.acme.address()
                ));
                providers.extend(solvers.iter().filter_map(|solver| solver.dns01.clone()));
            }
        }
        lines.extend(
            providers.into_iter().map(|provider| {
                format!("DNS provider {provider} of ACME solvers is the embedded DNS server")
            }),
        );
        lines
    }
}

/// Drives an order to its end, `None` if it is given up before; pauses that the server asks for are waited out here.
async fn carry_out(
    mut state: OrderState,
    run: Run,
    wanted: &IssueWanted,
    events: &mpsc::UnboundedSender<Event>,
    stopped: oneshot::Receiver<()>,
) -> Result<Option<String>, Failure> {
    let given_up = async {
        let _ = stopped.await;
    };
    tokio::pin!(given_up);
    loop {
        let outcome;
        let progress = |state: &OrderState| {
            let _ = events.send(Event::Ordered(wanted.key.clone(), Box::new(state.clone())));
        };
        (state, outcome) = drive_until(state, run.clone(), progress, &mut given_up).await;
        match outcome {
            None => return Ok(None),
            Some(Outcome::Issued { chain_pem }) => return Ok(Some(chain_pem)),
            Some(Outcome::Failed(failure)) => return Err(failure),
            Some(Outcome::Waiting { until }) => {
                let pause = u64::try_from(until.0 - now().0).unwrap_or(0);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                    () = &mut given_up => return Ok(None),
                }
            }
        }
    }
}

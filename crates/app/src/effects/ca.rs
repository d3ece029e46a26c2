//! ACME servers and their clients: those that issuers name, and on one machine the development CA, which stands in for all of them and
//! proves names through the embedded DNS.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use anyhow::Context as _;
use portolan_core::{
    certificates::{
        acme::challenge_fqdn,
        rows::{AcmeOrder, AcmeServer, RealAcme, TsigKey},
    },
    dns::observe::last_two_labels,
};
use portolan_effects::{
    acme::{
        AccountKey, Challenges, Client, KeptOrders, NotedChallenges, PlacedChallenges, ProviderChallenges,
        Reach, StoredOrders,
    },
    acme_ca::{self, DevCa, Handle, Settings},
    dns::{
        DnsProvider, DurableDns,
        rfc2136::{Algorithm, Key, TxtUpdates},
    },
    state_dir::StateDir,
};
use portolan_model::{
    Name, NamespacedName, Redacted,
    dns::zone_for,
    input::{Issuer, IssuerSpec, Secret},
};

use super::{Context, Platform, now};

/// File of the state directory that holds the development CA.
const FILE: &str = "development-ca.pem";

/// ACME servers as their clients see them: the issuers' own, and where there is one the embedded development CA.
pub struct Ca {
    embedded: Option<Embedded>,
    clients: BTreeMap<NamespacedName, (AcmeServer, Arc<Client>)>,
    /// Orders at servers of their own, which outlive this process.
    orders: Arc<dyn KeptOrders>,
}

/// The embedded development CA.
struct Embedded {
    server: Handle,
    /// Root of what it signs, PEM.
    root: String,
    dns: Arc<DurableDns>,
    challenges: Arc<dyn Challenges>,
}

/// Where nothing stands in for an issuer's own server.
const NONE: &str = "there is no embedded ACME server here";

impl Ca {
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
        let server = acme_ca::serve(ca, settings, Arc::new(now))
            .await
            .with_context(|| crate::instance::taken("--acme-listen", listen, state.path()))?;
        let challenges = Arc::new(ProviderChallenges::new(Arc::clone(&dns) as Arc<dyn DnsProvider>));
        let challenges = NotedChallenges::open(challenges, state.path())?;
        // The CA that made these orders ended with its process, so none of them is taken up again.
        challenges.purge().await;
        let challenges = Arc::new(challenges);
        let orders = StoredOrders::open(state.path()).context("no folder can be made for ACME orders")?;
        let embedded = Some(Embedded { server, root, dns, challenges });
        Ok(Self { embedded, clients: BTreeMap::new(), orders: Arc::new(orders) })
    }

    /// Nobody stands in: each issuer is served by its own server, and orders are kept there.
    pub fn none(orders: Arc<dyn KeptOrders>) -> Self {
        Self { embedded: None, clients: BTreeMap::new(), orders }
    }

    /// The directory of an issuer's server: as the issuer names it, or as the development CA's own host does.
    pub fn directory(&self, named: &Name, at: &AcmeServer) -> String {
        match at {
            AcmeServer::StandIn => {
                self.embedded.as_ref().map(|ca| ca.server.directory_url()).unwrap_or_default()
            }
            AcmeServer::Own { .. } => named.to_string(),
        }
    }

    /// Orders at servers of their own.
    pub fn orders(&self) -> &Arc<dyn KeptOrders> {
        &self.orders
    }

    /// Where the development CA listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.embedded.as_ref().map(|ca| ca.server.local_addr())
    }

    /// Sees to it that the embedded DNS has a zone for a name: the last two labels where no zone holds it.
    pub fn hold(&self, name: &str) -> Result<(), String> {
        let dns = &self.embedded.as_ref().ok_or(NONE)?.dns;
        let name = name.strip_prefix("*.").unwrap_or(name);
        if zone_for(name, &dns.zone_names()).is_some() {
            return Ok(());
        }
        let zone = last_two_labels(name).ok_or_else(|| format!("{name} is not a domain name"))?;
        dns.add_zone(&zone).map_err(|error| error.to_string())
    }

    /// Root of what the development CA signs, PEM.
    pub fn root(&self) -> &str {
        self.embedded.as_ref().map_or("", |ca| &ca.root)
    }
}

/// The authorities that the machine believes, PEM.
fn system_roots() -> Result<String, String> {
    let path = crate::roots::system_roots().ok_or_else(|| {
        "this machine has no file of authorities that it believes (ca-certificates); install it, or give caBundle".to_owned()
    })?;
    std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))
}

impl<P: Platform> Context<P> {
    /// The client of an account, whose key stands in a Secret as cert-manager keeps it.
    pub fn client(
        &mut self,
        account_key: &NamespacedName,
        entry: &Name,
        at: &AcmeServer,
    ) -> Result<Arc<Client>, String> {
        let secret = self.engine.get::<Secret>(account_key);
        let pem = secret.as_ref().and_then(|s| s.data.get(entry));
        let pem = pem.ok_or_else(|| format!("Secret {account_key} holds no account key ({entry})"))?;
        let key = AccountKey::from_pem(pem)
            .map_err(|error| format!("the account key in Secret {account_key}: {error}"))?;
        if let Some((known, client)) = self.ca.clients.get(account_key)
            && known == at
            && client.thumbprint() == key.thumbprint()
        {
            return Ok(Arc::clone(client));
        }
        let client = match at {
            AcmeServer::StandIn => {
                let embedded = self.ca.embedded.as_ref().ok_or(NONE)?;
                Client::new(key, &embedded.root, Reach::Only(embedded.server.client_addr()))
            }
            AcmeServer::Own { trusts: Some(bundle) } => Client::new(key, bundle, Reach::Named),
            AcmeServer::Own { trusts: None } => Client::new(key, &system_roots()?, Reach::Named),
        };
        let client = Arc::new(client.map_err(|error| error.to_string())?);
        self.ca.clients.insert(account_key.clone(), (at.clone(), Arc::clone(&client)));
        Ok(client)
    }

    /// Where the TXT records of an order are written.
    pub fn challenges(&self, order: &AcmeOrder) -> Result<Arc<dyn Challenges>, String> {
        if order.at == AcmeServer::StandIn {
            return Ok(Arc::clone(&self.ca.embedded.as_ref().ok_or(NONE)?.challenges));
        }
        let mut by_fqdn = BTreeMap::new();
        for proof in &order.proofs {
            let server = proof.update.as_ref().ok_or_else(|| format!("{} has no solver", proof.name))?;
            let key = server.key.as_ref().map(|key| self.tsig(key)).transpose()?;
            let updates = Arc::new(TxtUpdates::new(server.address.clone(), key.as_ref())?);
            by_fqdn.insert(challenge_fqdn(&proof.name), updates);
        }
        Ok(Arc::new(PlacedChallenges::new(by_fqdn)))
    }

    fn tsig(&self, key: &TsigKey) -> Result<Key, String> {
        let (secret, entry) = &key.secret;
        let row = self.engine.get::<Secret>(secret);
        let value = row.as_ref().and_then(|row| row.data.get(entry));
        let value =
            value.ok_or_else(|| format!("Secret {secret} with the TSIG key ({entry}) is not there"))?;
        let algorithm = Algorithm::parse(&key.algorithm).map_err(|error| error.to_string())?;
        Key::new(&key.name, algorithm, value).map_err(|error| error.to_string())
    }

    /// Whether issuers are served by the servers that they name.
    pub fn is_real_acme(&self) -> bool {
        self.engine.get::<RealAcme>(&Name::default()).is_some()
    }

    /// What stands in for something else around ACME, one sentence each.
    pub fn acme_substitutions(&self) -> Vec<String> {
        let Some(address) = self.ca.address().filter(|_| !self.is_real_acme()) else { return Vec::new() };
        let mut providers: BTreeSet<Name> = BTreeSet::new();
        let mut lines = Vec::new();
        for issuer in self.engine.rows::<Issuer>() {
            if let IssuerSpec::Acme { server, solvers, .. } = &issuer.spec {
                lines.push(format!(
                    "ACME server {server} of {} is the embedded development CA at {}",
                    issuer.key, address
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

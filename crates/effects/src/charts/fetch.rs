//! One chart by the real Helm: the index of its repository, then `helm pull`. Helm has no home, no plugins and nothing of our
//! environment; it reads the credentials that the user named, and opens connections to the gate alone.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use portolan_model::yaml;
use serde_json::{Value, json};

use super::{
    gate::Gate,
    reference::{Reference, Unusable},
    resolver::Resolve,
    store::{self, Unpacked},
};
use crate::confined::run::{Ended, Limits, Run};

/// Most bytes that one run of Helm brings in: an index of a large public repository has 30 MB.
pub const MOST_BYTES: u64 = 192 << 20;
/// Largest index that is looked into for digests.
const MOST_INDEX: u64 = 96 << 20;

/// What fetches.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// The `helm` program.
    pub helm: PathBuf,
    /// The program between us and `helm` (`confined`).
    pub through: PathBuf,
    /// Helm's file of credentials of registries (`--registry-config`).
    pub registry_config: Option<PathBuf>,
    /// Helm's file of repositories, with their credentials (`--repository-config`).
    pub repository_config: Option<PathBuf>,
    /// Longest that one run of Helm may take.
    pub timeout: Duration,
    /// This machine may be asked (tests).
    pub loopback: bool,
    /// How names are resolved.
    pub resolve: Resolve,
    /// Most bytes that one run of Helm may bring in.
    pub most: u64,
}

/// A chart that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The archive as it came.
    pub archive: Vec<u8>,
    /// What stands in it.
    pub chart: Unpacked,
    /// It comes from an index that gives no digest of it, so nothing says that it is what was published.
    pub is_uncompared: bool,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody asks for it.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// What came of it, as a sentence.
    #[error("{0}")]
    Said(String),
}

/// Fetches charts; of each repository the index once.
#[derive(Debug)]
pub struct Session<'a> {
    fetcher: &'a Fetcher,
    work: tempfile::TempDir,
    /// Folder of each repository that was asked, or why it cannot be.
    repositories: RefCell<BTreeMap<String, Result<PathBuf, String>>>,
}

impl Fetcher {
    /// Begins.
    ///
    /// # Errors
    /// When there is no temporary folder, or a file that the user named cannot be read.
    pub fn session(&self) -> io::Result<Session<'_>> {
        let work = tempfile::Builder::new().prefix("portolan-charts").tempdir()?;
        if let Some(config) = &self.registry_config {
            // A copy: Helm may write what it reads.
            private(&work.path().join("registry.json"), &fs::read(config)?)?;
        }
        Ok(Session { fetcher: self, work, repositories: RefCell::default() })
    }
}

impl Session<'_> {
    /// Fetches a chart in this version or range.
    ///
    /// # Errors
    /// Why not.
    pub fn fetch(&self, reference: &Reference, version: &str) -> Result<Fetched, Failure> {
        reference.outside(self.fetcher.loopback)?;
        let broken = |why: io::Error| Failure::Said(format!("it cannot be fetched: {why}"));
        let out = tempfile::Builder::new().prefix("out").tempdir_in(self.work.path()).map_err(broken)?;
        let mut args = vec!["pull".to_owned()];
        let mut index = None;
        if reference.is_oci() {
            let digest = if version.starts_with("sha256:") { format!("@{version}") } else { String::new() };
            args.push(format!("{}/{}{digest}", reference.repository, reference.chart));
            if reference.is_loopback() {
                args.push("--plain-http".to_owned());
            }
        } else {
            let folder = self.repository(reference)?;
            args.push(format!("r/{}", reference.chart));
            args.extend(repository_flags(&folder));
            index = Some(folder.join("cache/r-index.yaml"));
        }
        if !version.is_empty() && !version.starts_with("sha256:") {
            args.push(format!("--version={version}"));
        }
        if self.fetcher.registry_config.is_some() {
            let file = self.work.path().join("registry.json");
            args.push(format!("--registry-config={}", file.display()));
        }
        args.push(format!("--destination={}", out.path().display()));
        self.run(reference, args)?;
        let mut files = fs::read_dir(out.path()).map_err(broken)?.flatten().map(|entry| entry.path());
        let (Some(file), None) = (files.next(), files.next()) else {
            return Err(Failure::Said("Helm left no chart, and said nothing".to_owned()));
        };
        let archive = store::read(&file, store::MOST_BYTES)
            .map_err(|why| Failure::Said(format!("what was fetched cannot be taken: {why}")))?;
        let chart = Unpacked::of(&archive)
            .map_err(|why| Failure::Said(format!("what was fetched is no chart: {why}")))?;
        let is_uncompared = match index {
            Some(index) => !agrees(&index, reference, &chart, &archive).map_err(Failure::Said)?,
            None => false,
        };
        Ok(Fetched { archive, chart, is_uncompared })
    }

    /// The folder with the configuration and index of a repository of HTTP.
    fn repository(&self, reference: &Reference) -> Result<PathBuf, Failure> {
        let url = &reference.repository;
        if let Some(known) = self.repositories.borrow().get(url) {
            return known.clone().map_err(Failure::Said);
        }
        let number = self.repositories.borrow().len();
        let folder = self.work.path().join(format!("repository-{number}"));
        let made = self.asked(reference, &folder).map(|()| folder);
        let kept = made.clone().map_err(|why| why.to_string());
        self.repositories.borrow_mut().insert(url.clone(), kept);
        made
    }

    fn asked(&self, reference: &Reference, folder: &Path) -> Result<(), Failure> {
        let broken = |why: io::Error| Failure::Said(format!("its repository cannot be asked: {why}"));
        fs::create_dir(folder).map_err(broken)?;
        let mut entry = self.known(&reference.repository).map_err(broken)?;
        entry["name"] = "r".into();
        entry["url"] = reference.repository.clone().into();
        let config = json!({"apiVersion": "", "generated": "1970-01-01T00:00:00Z", "repositories": [entry]});
        private(&folder.join("repositories.yaml"), yaml::of_json(&config).as_bytes()).map_err(broken)?;
        let mut args = vec!["repo".to_owned(), "update".to_owned(), "r".to_owned()];
        args.extend(repository_flags(folder));
        self.run(reference, args).map(drop)
    }

    /// What the user's configuration says of a repository: credentials, and files of certificates, which are copied.
    fn known(&self, url: &str) -> io::Result<Value> {
        let Some(config) = &self.fetcher.repository_config else { return Ok(json!({})) };
        let text =
            String::from_utf8(store::read(config, 4 << 20)?).map_err(|_| io::ErrorKind::InvalidData)?;
        let (documents, errors) = yaml::load(&text);
        if let Some(error) = errors.first() {
            return Err(io::Error::other(format!("{} line {}: no YAML", config.display(), error.line)));
        }
        let all = documents.into_iter().next().map(|document| document.json).unwrap_or_default();
        let same =
            |entry: &&Value| entry["url"].as_str().is_some_and(|known| known.trim_end_matches('/') == url);
        let found = all["repositories"].as_array().into_iter().flatten().find(same);
        let mut entry = found.cloned().unwrap_or_else(|| json!({}));
        for field in ["caFile", "certFile", "keyFile"] {
            let Some(path) = entry[field].as_str().filter(|path| !path.is_empty()) else { continue };
            let copy = self.work.path().join(format!("{field}-{}", self.repositories.borrow().len()));
            private(&copy, &store::read(Path::new(path), 4 << 20)?)?;
            entry[field] = copy.display().to_string().into();
        }
        Ok(entry)
    }

    fn run(&self, reference: &Reference, args: Vec<String>) -> Result<Ended, Failure> {
        let fetcher = self.fetcher;
        let said = |why: String| Failure::Said(why);
        let gate = Gate::open(fetcher.resolve, fetcher.loopback, fetcher.most)
            .map_err(|why| said(format!("no way out can be opened: {why}")))?;
        let proxy = format!("http://127.0.0.1:{}", gate.port());
        let mut connect = vec![gate.port()];
        if fetcher.loopback && reference.is_loopback() {
            // Go asks no proxy for what is on loopback.
            connect.push(reference.host().1);
        }
        let run = Run {
            through: &fetcher.through,
            program: &fetcher.helm,
            starts: None,
            args: args.into_iter().map(Into::into).collect(),
            read: certificates(),
            write: Some(self.work.path().to_owned()),
            connect,
            folders: &["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"],
            env: ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, proxy.clone().into())).into(),
            limits: Limits { time: fetcher.timeout, output: fetcher.most, ..Limits::default() },
        };
        let ended = run.ended();
        // What was not let through is the cause of whatever Helm says.
        let refused = gate.refused();
        if !refused.is_empty() {
            return Err(said(refused.join("; ")));
        }
        let ended = ended.map_err(|stopped| said(format!("Helm {}", stopped.why)))?;
        if ended.success {
            return Ok(ended);
        }
        // `helm repo update` says why on its output, and in its error only that.
        let output = String::from_utf8_lossy(&ended.stdout);
        let why =
            output.split_once("Unable to get an update from").and_then(|(_, rest)| rest.split_once("):\n"));
        let words = match why {
            Some((_, why)) => why.to_owned(),
            None => String::from_utf8_lossy(&ended.stderr).into_owned(),
        };
        let words = words.replace(&*self.work.path().display().to_string(), "…");
        Err(said(crate::render::helm::tidy(&words)))
    }
}

/// Compares the archive with what the index of its repository says; Helm does not. `false`: the index gives no digest of it.
fn agrees(index: &Path, reference: &Reference, chart: &Unpacked, archive: &[u8]) -> Result<bool, String> {
    let text = store::read(index, MOST_INDEX).map_err(|why| format!("the index of its repository: {why}"))?;
    let (documents, errors) = yaml::load(&String::from_utf8_lossy(&text));
    if let Some(error) = errors.first() {
        // Helm reads it, and we do not: it may say another digest.
        return Err(format!(
            "the index of its repository cannot be read here, so the chart cannot be compared with it: line {}: {}",
            error.line, error.message
        ));
    }
    let entries = documents.first().map(|document| &document.json["entries"][&reference.chart]);
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    let said: Vec<&Value> =
        entries.filter(|entry| entry["version"].as_str() == Some(&chart.version)).collect();
    if said.is_empty() {
        return Err(format!(
            "what was fetched says that it is version {:?}, which the index of its repository does not have: it is not taken",
            chart.version
        ));
    }
    let is = store::Digest::of(archive);
    let digests =
        said.into_iter().map(|entry| &entry["digest"]).filter(|digest| !digest.is_null() && *digest != "");
    let mut compared = false;
    for digest in digests {
        let digest = digest.as_str().map_or_else(|| digest.to_string(), str::to_owned);
        if digest.trim_start_matches("sha256:") != is.digits() {
            return Err(format!(
                "version {} is {is}, and the index of its repository says {digest}: it is not taken",
                chart.version
            ));
        }
        compared = true;
    }
    Ok(compared)
}

fn repository_flags(folder: &Path) -> [String; 2] {
    [
        format!("--repository-config={}", folder.join("repositories.yaml").display()),
        format!("--repository-cache={}", folder.join("cache").display()),
    ]
}

/// Where Go looks for the certificates of authorities (`crypto/x509/root_linux.go`), as far as it is there.
fn certificates() -> Vec<PathBuf> {
    let places = ["/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/hosts", "/etc/resolv.conf"];
    places.into_iter().map(PathBuf::from).filter(|place| place.exists()).collect()
}

fn private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(content)
}

//! Which chart of which repository, in one form for all that name one: Argo CD, Flux, Kustomize and `Chart.yaml`.

use std::{fmt, net::IpAddr};

use super::{range, resolver};

/// A chart as a repository names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `https://…`, `http://…`, or `oci://host/path` without the chart's own name.
    pub repository: String,
    /// Name of the chart.
    pub chart: String,
    /// Version or range as it is written; empty for the newest one.
    pub asked: String,
}

/// Whether a text is a whole version (semver.org, `v` before it or not).
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+', '_']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 128
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'))
}

/// Why a chart is never fetched, as the rest of a sentence that begins with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No repository of charts can be asked that way.
    #[error("its repository {0:?} is no https://, http:// or oci:// URL")]
    Scheme(String),
    /// A password would get into the lock file.
    #[error("its repository's URL holds a user name or password, which belong into Helm's configuration")]
    Credentials,
    /// Helm would take it for something else.
    #[error("its {0} {1:?} is none that Helm would take")]
    Word(&'static str, String),
    /// It leads back to who fetches.
    #[error("its repository's host {0} is this machine or its own link, which no repository may have asked")]
    Own(String),
}

impl Reference {
    /// A chart by its name, as Argo CD's `chart`, Flux' `chart.spec` and a dependency name it. A URL without a scheme is one
    /// of OCI, as in Argo CD.
    ///
    /// # Errors
    /// Why nobody fetches it.
    pub fn new(repository: &str, chart: &str, asked: &str) -> Result<Self, Unusable> {
        let repository = repository.trim();
        let (scheme, rest) = repository.split_once("://").unwrap_or(("oci", repository));
        let rest = rest.trim_end_matches('/');
        let scheme = scheme.to_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Before anything repeats the URL.
        if authority.contains('@') {
            return Err(Unusable::Credentials);
        }
        if !matches!(&*scheme, "https" | "http" | "oci") || rest.is_empty() || rest.starts_with('/') {
            return Err(Unusable::Scheme(repository.to_owned()));
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '"')) {
            return Err(Unusable::Scheme(repository.to_owned()));
        }
        let chart = chart.trim().trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // Each part: the last is the chart's name where a registry holds it, and the lock is read again by it.
        let word = |part: &str| !part.is_empty() && !part.starts_with(['-', '.']) && part.chars().all(plain);
        if chart.contains("..") || !chart.split('/').all(word) {
            return Err(Unusable::Word("name", chart.to_owned()));
        }
        let asked = asked.trim();
        if asked.starts_with('-') || asked.len() > 256 || asked.chars().any(char::is_control) {
            return Err(Unusable::Word("version", asked.to_owned()));
        }
        let (repository, chart) = match (&*scheme, chart.rsplit_once('/')) {
            // One place of a registry has one name here, wherever the slash is that stands before the chart.
            ("oci", Some((path, chart))) => (format!("oci://{rest}/{path}"), chart),
            _ => (format!("{scheme}://{rest}"), chart),
        };
        Ok(Self { repository, chart: chart.to_owned(), asked: asked.to_owned() })
    }

    /// A chart whose URL of OCI ends in its name, as that of Flux' OCIRepository does.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn oci(url: &str, asked: &str) -> Result<Self, Unusable> {
        let url = url.trim().trim_end_matches('/');
        let place = url.strip_prefix("oci://").and_then(|rest| rest.rsplit_once('/'));
        let (repository, chart) = place.ok_or_else(|| Unusable::Scheme(url.to_owned()))?;
        Self::new(&format!("oci://{repository}"), chart, asked)
    }

    /// Whether a registry of OCI holds it.
    pub fn is_oci(&self) -> bool {
        self.repository.starts_with("oci://")
    }

    /// Whether several versions may be meant, as far as can be told from how it is written; a word may be a tag of OCI.
    pub fn is_range(&self) -> bool {
        let asked = self.asked.trim_start_matches('v');
        let parts: Vec<&str> = asked.split('.').collect();
        let numbers =
            parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        asked.is_empty()
            || asked.contains(['*', '<', '>', '=', '~', '^', '|', ',', ' '])
            || numbers && parts.len() < 3
            || parts.iter().any(|part| matches!(*part, "x" | "X"))
    }

    /// Whether a chart of this version may be what is asked for. Ranges and tags of OCI are Helm's to resolve, and a version that is
    /// not in the range is refused; one that is written whole is itself, with or without `v`.
    ///
    /// # Errors
    /// Why not, as the rest of a sentence.
    pub fn may_be(&self, version: &str) -> Result<(), String> {
        if !is_version(version) {
            return Err(format!("{version:?} is no version of a chart"));
        }
        // A tag cannot hold the sign of build metadata.
        let plain = |text: &str| text.trim_start_matches('v').replace('_', "+");
        let whole = !self.is_range() && is_version(&self.asked);
        if whole && plain(&self.asked) != plain(version) {
            return Err(format!("version {} is asked for, and this is {version}", self.asked));
        }
        if self.is_range() && !self.asked.is_empty() && range::holds(&self.asked, version) == Some(false) {
            return Err(format!("a version of {} is asked for, and this is {version}", self.asked));
        }
        Ok(())
    }

    /// Host and port of its URL.
    pub fn host(&self) -> (&str, u16) {
        let (scheme, rest) = self.repository.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let usual = if scheme == "http" { 80 } else { 443 };
        let end = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[end..].rfind(':') {
            Some(at) => (&authority[..end + at], authority[end + at + 1..].parse().unwrap_or(usual)),
            None => (authority, usual),
        };
        (host.trim_start_matches('[').trim_end_matches(']'), port)
    }

    /// Whether its host is this machine, as far as its name says.
    pub fn is_loopback(&self) -> bool {
        let (host, _) = self.host();
        let host = host.trim_end_matches('.').to_lowercase();
        let address = host.parse::<IpAddr>();
        host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(resolver::is_loopback)
    }

    /// Refuses what leads back to the machine that fetches, as far as the URL says; names are looked at when they are dialled.
    ///
    /// # Errors
    /// [`Unusable::Own`].
    pub fn outside(&self, loopback: bool) -> Result<(), Unusable> {
        let (host, _) = self.host();
        let own = match host.parse::<IpAddr>() {
            Ok(address) => !resolver::may_be_asked(address, loopback),
            Err(_) => self.is_loopback() && !loopback,
        };
        if own { Err(Unusable::Own(host.to_owned())) } else { Ok(()) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = if self.asked.is_empty() { "(newest)" } else { &self.asked };
        write!(f, "{} {asked} of {}", self.chart, self.repository)
    }
}

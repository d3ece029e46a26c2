//! Talks to a running instance over its Unix socket.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use reqwest::Url;
use serde_json::Value;

/// A client of one instance.
pub struct Client {
    http: reqwest::Client,
    socket: String,
    run: Value,
}

impl Client {
    /// For the instance on a state directory.
    ///
    /// # Errors
    /// When `run.json` is not there (the instance is still starting).
    pub fn new(state: &Path) -> anyhow::Result<Self> {
        let run =
            std::fs::read(state.join("run.json")).context("the instance is still starting; try again")?;
        let run: Value = serde_json::from_slice(&run).context("run.json is not JSON")?;
        let socket =
            run["sockets"]["control"].as_str().context("run.json names no control socket")?.to_owned();
        let client = reqwest::Client::builder().unix_socket(Path::new(&socket)).build()?;
        Ok(Self { http: client, socket, run })
    }

    /// What the instance says of itself.
    pub fn run(&self) -> &Value {
        &self.run
    }

    /// Reads. Each part of the path is one segment, whatever stands in it.
    ///
    /// # Errors
    /// When the instance does not answer, or says no.
    pub async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.answer(self.http.get(url(path)?)).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// When the instance does not answer, or says no.
    pub async fn post(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.answer(self.http.post(url(path)?)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.with_context(|| format!("no answer on {}", self.socket))?;
        let status = response.status();
        let json: Value = response.json().await.context("the answer is not JSON")?;
        if !status.is_success() && json["state"].is_null() {
            bail!("{}", json["error"].as_str().unwrap_or("the request was refused"));
        }
        Ok(json)
    }
}

/// A word of the user's is one segment, and never a way to another place of the API.
fn url(path: &[&str]) -> anyhow::Result<Url> {
    let mut url = Url::parse("http://localhost/v1")?;
    for part in path {
        // A URL has no way to write these as a segment.
        ensure!(!matches!(*part, "" | "." | ".."), "{part:?} is no name");
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn arguments_stay_one_segment() {
        let of = |path: &[&str]| url(path).map(|url| url.path().to_owned()).map_err(|why| why.to_string());
        assert_eq!(of(&["renew", "team-a", "app1"]), Ok("/v1/renew/team-a/app1".into()));
        assert_eq!(of(&["renew", "../down"]), Ok("/v1/renew/..%2Fdown".into()));
        assert_eq!(of(&["explain", "a?b#c/d%2e"]), Ok("/v1/explain/a%3Fb%23c%2Fd%252e".into()));
        for bad in ["", ".", ".."] {
            assert!(of(&["renew", bad, "down"]).is_err(), "{bad:?}");
        }
    }
}

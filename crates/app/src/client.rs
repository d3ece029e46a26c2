//! Talks to a running instance over its Unix socket.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A client of one instance.
pub struct Client(reqwest::Client, String);

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
        Ok(Self(client, socket))
    }

    /// Reads.
    ///
    /// # Errors
    /// When the instance does not answer, or says no.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.0.get(format!("http://localhost{path}"))).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// When the instance does not answer, or says no.
    pub async fn post(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.0.post(format!("http://localhost{path}"))).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.with_context(|| format!("no answer on {}", self.1))?;
        let status = response.status();
        let json: Value = response.json().await.context("the answer is not JSON")?;
        if !status.is_success() {
            bail!("{}", json["error"].as_str().unwrap_or("the request was refused"));
        }
        Ok(json)
    }
}

//! What the fuzz targets (`fuzz/`) reach and nobody else: the HTTP API over a connection in memory. Compiled with
//! `--cfg fuzzing` only, which `cargo fuzz` sets.

use std::cell::RefCell;

use axum::Router;
use portolan_core::{World, dns::rows::DnsSettings, engine, simulate::simulate, world};
use portolan_effects::store::{Store, Write};
use portolan_engine::Engine;
use portolan_model::{Instant, Object, intake::intake};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{api, host, objects, status};

const NOW: Instant = Instant(1_790_000_000_000);
/// What a connection holds that its reader has not taken.
const BUFFER: usize = 64 << 10;

/// An instance behind its API: store and engine with these objects, and no other effects.
pub struct Api {
    runtime: tokio::runtime::Runtime,
    routers: [Router; 2],
    asked: RefCell<mpsc::Receiver<api::Ask>>,
    engine: Engine<World>,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Api {
    /// With these objects, as if every effect had succeeded.
    ///
    /// # Errors
    /// When there is no folder for the store.
    pub fn new(objects: Vec<Object>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut store = Store::open(folder.path())?;
        let mut engine = engine();
        engine.put(DnsSettings::of_folder("dev"));
        for object in &objects {
            world::put(&mut engine, &object.key, intake(object));
        }
        let writes = objects.into_iter().map(|object| Write::Apply(Box::new(object), "git"));
        store.write(writes.collect(), NOW)?;
        simulate(&mut engine, NOW);
        let (driver, asked) = mpsc::channel(1);
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build()?,
            routers: [api::public(driver.clone()), api::control(driver)],
            asked: RefCell::new(asked),
            engine,
            store,
            _folder: folder,
        })
    }

    /// What comes back over a connection on which these bytes are all that is sent.
    pub fn exchange(&self, sent: &[u8], control: bool) -> Vec<u8> {
        let router = self.routers[usize::from(control)].clone();
        let mut asked = self.asked.borrow_mut();
        self.runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(BUFFER);
            let client = async {
                let _ = client.write_all(sent).await;
                let _ = client.shutdown().await;
                let mut answer = Vec::new();
                let _ = client.read_to_end(&mut answer).await;
                answer
            };
            let served = async { tokio::join!(api::connection(server, router, api::PATIENCE), client).1 };
            tokio::pin!(served);
            loop {
                tokio::select! {
                    answer = &mut served => return answer,
                    Some(ask) = asked.recv() => drop(ask.answer.send(self.answer(ask.what))),
                }
            }
        })
    }

    /// As the driver answers.
    fn answer(&self, what: api::What) -> Result<Value, String> {
        match what {
            api::What::Status => Ok(status::status(&self.engine, &self.store, &json!({}), &[], &[], &[])),
            api::What::Explain(asked) => {
                Ok(status::explain(&self.engine, &self.store, &[], &host::asked(&asked)?))
            }
            api::What::Objects(query) => objects::find(&self.store, &query),
            api::What::Namespaces => Ok(objects::namespaces(&self.store)),
            api::What::Metrics => Ok(json!({"text": "portolan_up 1\n"})),
            api::What::Ready => Ok(json!({"message": "ready"})),
            api::What::Down => Ok(json!({"message": "stopping"})),
            api::What::Renew(name) => Err(format!("Certificate {name} does not exist")),
            api::What::Prune(asked) => Err(format!("{asked} does not stay without the repository")),
        }
    }
}

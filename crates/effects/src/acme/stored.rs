//! Orders on disk, so that one goes on after a restart: at a server with limits a second one would be counted, and the TXT values of
//! the first would stay.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use portolan_core::certificates::acme::OrderState;
use portolan_model::NamespacedName;
use serde::{Deserialize, Serialize};

use super::{KeptOrder, KeptOrders};
use crate::state_dir;

/// Name of the folder in the state directory.
const FOLDER: &str = "acme-orders";

/// An order as it is kept: no secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The Certificate: `namespace/name`.
    pub certificate: String,
    /// How far it is.
    pub state: OrderState,
}

impl Stored {
    /// Of a Certificate.
    pub fn new(certificate: &NamespacedName, state: &OrderState) -> Self {
        Self { certificate: certificate.to_string(), state: state.clone() }
    }
}

/// The orders of a state directory, one file each.
#[derive(Clone, Debug)]
pub struct StoredOrders {
    folder: PathBuf,
}

impl StoredOrders {
    /// The orders of this state directory; the folder is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(state: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = state.join(FOLDER);
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { folder }),
        }
    }

    /// Neither part of a name holds two dots in a row.
    fn file(certificate: &NamespacedName) -> String {
        format!("{}..{}.json", certificate.namespace, certificate.name)
    }

    /// Keeps how far an order is. Blocks for one small write.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, certificate: &NamespacedName, state: &OrderState) -> io::Result<()> {
        let stored = Stored::new(certificate, state);
        let bytes = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        state_dir::write(&self.folder, &Self::file(certificate), &bytes).map(|_| ())
    }

    /// The order has ended.
    pub fn forget(&self, certificate: &NamespacedName) {
        let path = self.folder.join(Self::file(certificate));
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "an order that has ended stays noted");
        }
    }

    /// What was kept of the order of a Certificate. One that cannot be read is as good as none: a new order is made.
    pub fn of(&self, certificate: &NamespacedName) -> Option<OrderState> {
        let bytes = std::fs::read(self.folder.join(Self::file(certificate))).ok()?;
        let stored: Result<Stored, _> = serde_json::from_slice(&bytes);
        stored
            .inspect_err(
                |error| tracing::warn!(%certificate, %error, "the order that was kept cannot be read"),
            )
            .ok()
            .map(|stored| stored.state)
    }

    /// All that are kept, by the Certificate.
    pub fn all(&self) -> BTreeMap<NamespacedName, OrderState> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let (namespace, name) = file.strip_suffix(".json")?.split_once("..")?;
            Some(NamespacedName::new(namespace, name))
        });
        names.filter_map(|name| Some((name.clone(), self.of(&name)?))).collect()
    }
}

#[async_trait]
impl KeptOrders for StoredOrders {
    async fn take(
        &self,
        certificate: &NamespacedName,
    ) -> Result<(Option<OrderState>, Arc<dyn KeptOrder>), String> {
        let kept = File { orders: self.clone(), certificate: certificate.clone() };
        Ok((self.of(certificate), Arc::new(kept)))
    }

    async fn all(&self) -> Result<Vec<(NamespacedName, OrderState)>, String> {
        Ok(Self::all(self).into_iter().collect())
    }
}

/// The file of an order.
struct File {
    orders: StoredOrders,
    certificate: NamespacedName,
}

#[async_trait]
impl KeptOrder for File {
    async fn keep(&self, state: &OrderState) -> bool {
        if let Err(error) = self.orders.keep(&self.certificate, state) {
            tracing::warn!(certificate = %self.certificate, %error, "how far its order is cannot be kept");
        }
        // One process has a state directory.
        true
    }

    async fn forget(&self) {
        self.orders.forget(&self.certificate);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_core::certificates::acme::{Limits, Wanted};

    use super::*;

    #[test]
    fn orders_are_found_again_and_damaged_ones_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let orders = StoredOrders::open(dir.path()).unwrap();
        let name = NamespacedName::new("shop", "web.example.com");
        let wanted = Wanted {
            directory: "https://ca.example.com/dir".into(),
            contact: vec![],
            names: vec!["web.example.com".into()],
            thumbprint: "t".into(),
        };
        let mut state = OrderState::new(wanted, Limits::default());
        orders.keep(&name, &state).unwrap();
        state.presented.push(("_acme-challenge.web.example.com".into(), "v".into()));
        orders.keep(&name, &state).unwrap();
        let again = StoredOrders::open(dir.path()).unwrap();
        assert_eq!(again.of(&name), Some(state.clone()));
        assert_eq!(again.all(), BTreeMap::from([(name.clone(), state)]));
        std::fs::write(dir.path().join(FOLDER).join(StoredOrders::file(&name)), "{").unwrap();
        assert_eq!((again.of(&name), again.all().len()), (None, 0));
        again.forget(&name);
        again.forget(&name);
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 0);
    }
}

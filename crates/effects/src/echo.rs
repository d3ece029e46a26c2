//! The built-in echo backend: answers in place of a Service of which nothing lists endpoints, and of endpoints that are not
//! loopback, over HTTP/1.1 and h2c.
//!
//! Envoy reaches it by Unix sockets in the private folder of the state: no other program can be there first, and none gets
//! its requests while it is away. The name of a socket is made of the Service's, so that it is the same after every start.

mod answer;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{net::UnixListener, sync::Semaphore};

/// Services that get a listener of their own, so that the answer can name them; further ones share one.
const NAMED: usize = 200;

/// Connections of all stand-ins at a time, at most; and never more than half of the files that may be open, so that all
/// other work has its own.
const CONNECTIONS: usize = 16 * 1024;
/// After an error to listen or to accept.
const PAUSE: Duration = Duration::from_millis(100);

/// File of a state directory: which Services have a stand-in of their own, for as long as Envoy has their sockets.
pub const FILE: &str = "stand-ins.json";

/// First letter of their sockets' names, and how many hexadecimal digits follow: as long as the longest other name in the
/// folder, since a Unix socket's path has at most 107 bytes.
const PREFIX: char = 's';
const DIGITS: usize = 10;

/// Stand-ins by Service.
#[derive(Debug)]
pub struct Echo {
    folder: PathBuf,
    /// Services that have one of their own, of this run and of earlier ones of the same Envoy.
    own: BTreeSet<String>,
    by_service: BTreeMap<String, PathBuf>,
    /// Sockets that are listened on.
    listens: BTreeSet<PathBuf>,
    /// They are not those that were remembered.
    changed: bool,
    connections: Arc<Semaphore>,
}

impl Echo {
    /// Stand-ins with sockets in `folder`, which is the caller's own; what an earlier run left there is removed. `saved` is
    /// which Services had a socket of their own then: Envoy has them still, so that nothing has to be sent again and hosts
    /// answer as soon as this program does. What cannot be read is a run without one before.
    pub fn new(folder: &Path, saved: Option<&[u8]>) -> Self {
        for left in fs::read_dir(folder).into_iter().flatten().flatten() {
            if left.file_name().to_str().is_some_and(is_name) {
                let _ = fs::remove_file(left.path());
            }
        }
        let own = saved.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = files.and_then(|files| usize::try_from(files / 2).ok()).unwrap_or(CONNECTIONS);
        let connections = Arc::new(Semaphore::new(half.clamp(1, CONNECTIONS)));
        let (by_service, listens) = (BTreeMap::new(), BTreeSet::new());
        Self { folder: folder.to_owned(), own, by_service, listens, changed: false, connections }
    }

    /// Which Services have one of their own, if they are others than at the call before.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        serde_json::to_vec(&self.own).ok()
    }

    /// The socket that answers in place of `service`. Must be called inside a runtime; the listener ends with it. One that
    /// cannot be listened on is tried again, and Envoy says meanwhile that no stand-in answers.
    pub fn socket(&mut self, service: &str) -> PathBuf {
        if let Some(socket) = self.by_service.get(service) {
            return socket.clone();
        }
        if self.own.len() < NAMED && !self.own.contains(service) {
            self.own.insert(service.to_owned());
            self.changed = true;
        }
        let own = self.folder.join(name(service));
        // Two names of one digest: the second is one of those that share a socket.
        let service =
            Some(service).filter(|service| self.own.contains(*service) && !self.listens.contains(&own));
        let Some(service) = service else {
            let shared = self.folder.join(name(""));
            self.listen(&shared, None);
            return shared;
        };
        self.listen(&own, Some(service.to_owned()));
        self.by_service.insert(service.to_owned(), own.clone());
        own
    }

    fn listen(&mut self, socket: &Path, service: Option<String>) {
        if !self.listens.insert(socket.to_owned()) {
            return;
        }
        // At once if it can be, so that Envoy never asks before.
        let listener = bind(socket);
        tokio::spawn(serve(socket.to_owned(), listener, service, Arc::clone(&self.connections)));
    }
}

/// The file of a Service's socket; without a name that of those who share one.
fn name(service: &str) -> String {
    let sum = digest(&SHA256, service.as_bytes());
    let bytes = *sum.as_ref().first_chunk().unwrap_or(&[0; 8]);
    format!("{PREFIX}{:010x}", u64::from_be_bytes(bytes) >> (64 - 4 * DIGITS))
}

fn is_name(file: &str) -> bool {
    let digits = file.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn bind(socket: &Path) -> io::Result<UnixListener> {
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(
    socket: PathBuf,
    mut listener: io::Result<UnixListener>,
    service: Option<String>,
    connections: Arc<Semaphore>,
) {
    let listener = loop {
        match listener {
            Ok(listener) => break listener,
            // Out of file descriptors, mostly: others may end meanwhile.
            Err(error) => {
                tracing::warn!(%error, socket = %socket.display(), "a stand-in cannot be started; it is tried again");
                tokio::time::sleep(PAUSE).await;
                listener = bind(&socket);
            }
        }
    };
    let service: Arc<Option<String>> = Arc::new(service);
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a stand-in cannot accept a connection; it tries again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let _permit = permit;
            let answer = |request: http::Request<Incoming>| {
                let answer = answer::answer(&request, service.as_deref());
                async move { Ok::<_, Infallible>(answer) }
            };
            let service = hyper::service::service_fn(answer);
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
    };

    use super::*;

    async fn asked(socket: &Path) -> serde_json::Value {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    #[tokio::test]
    async fn sockets_are_those_of_the_run_before_and_what_it_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Echo::new(folder.path(), None);
        let (a, b) = (first.socket("ns/a"), first.socket("ns/b"));
        assert_eq!((first.socket("ns/a"), a == b), (a.clone(), false));
        assert_eq!(asked(&a).await["service"], "ns/a");
        assert_eq!(asked(&b).await["service"], "ns/b");
        assert_eq!(fs::metadata(&a).unwrap().permissions().mode() & 0o777, 0o600);
        let saved = first.take_changed().unwrap();
        assert_eq!(first.take_changed(), None);

        fs::write(folder.path().join("control"), "").unwrap();
        let mut again = Echo::new(folder.path(), Some(&saved));
        assert!(!a.exists() && folder.path().join("control").exists(), "only its own sockets are removed");
        assert_eq!(again.socket("ns/a"), a);
        assert_eq!(again.take_changed(), None, "nothing is another one");
        assert_eq!(asked(&a).await["service"], "ns/a");
    }

    #[tokio::test]
    async fn services_beyond_the_first_ones_share_a_socket_and_stay_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Echo::new(folder.path(), None);
        for n in 0..NAMED {
            first.socket(&format!("ns/{n}"));
        }
        let shared = first.socket("ns/late");
        assert_eq!(first.socket("ns/later"), shared);
        assert!(asked(&shared).await["service"].is_null());
        let saved = first.take_changed().unwrap();
        // Another order: who had a socket of its own has it again, who had none has none.
        let mut again = Echo::new(folder.path(), Some(&saved));
        assert_eq!(again.socket("ns/late"), shared);
        let own = again.socket("ns/0");
        assert_eq!(asked(&own).await["service"], "ns/0");
        assert_ne!(own, shared);
        assert!(Echo::new(folder.path(), Some(b"{")).own.is_empty());
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_made_is_tried_again() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("later");
        let mut echo = Echo::new(&folder, None);
        let socket = echo.socket("ns/a");
        fs::create_dir(&folder).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).await.is_err() {
            assert!(std::time::Instant::now() < until);
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(asked(&socket).await["service"], "ns/a");
    }
}

//! Stands between provider and server on loopback: counts, cuts, and loses messages.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const PASS: u8 = 0;
const STALL: u8 = 1;
const SWALLOW: u8 = 2;
const DROP: u8 = 3;

/// Opcode of an update, as it stands in the third byte of a message.
const UPDATE: u8 = 5;

#[derive(Default)]
struct State {
    mode: AtomicU8,
    /// Bytes of a connection after which it is closed; 0: never.
    cut: AtomicU64,
    came: AtomicU64,
}

pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

impl Relay {
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let of = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(to).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(messages(from_client, to_server, Arc::clone(&of), true));
                tokio::spawn(messages(from_server, to_client, Arc::clone(&of), false));
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that came from the server.
    pub fn came(&self) -> u64 {
        self.state.came.load(SeqCst)
    }

    pub fn cut_after(&self, bytes: u64) {
        self.state.cut.store(bytes, SeqCst);
    }

    pub fn pass(&self) {
        self.state.cut.store(0, SeqCst);
        self.state.mode.store(PASS, SeqCst);
    }

    pub fn stall(&self) {
        self.state.mode.store(STALL, SeqCst);
    }

    /// Updates reach the server, and their answers nobody.
    pub fn swallow_updates(&self) {
        self.state.mode.store(SWALLOW, SeqCst);
    }

    /// Updates do not reach the server.
    pub fn drop_updates(&self) {
        self.state.mode.store(DROP, SeqCst);
    }
}

/// Hands messages on, one by one.
async fn messages(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<State>, asks: bool) {
    let mut passed = 0;
    while let Ok(length) = from.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if from.read_exact(&mut message).await.is_err() {
            return;
        }
        let update = message.get(2).is_some_and(|byte| (byte >> 3) & 0xf == UPDATE);
        match state.mode.load(SeqCst) {
            // Both ends are kept open.
            STALL => std::future::pending::<()>().await,
            SWALLOW if update && !asks => return,
            DROP if update && asks => return,
            _ => {}
        }
        if !asks {
            state.came.fetch_add(u64::from(length), SeqCst);
            passed += u64::from(length);
            let cut = state.cut.load(SeqCst);
            if cut > 0 && passed > cut {
                // Half of the message.
                let _ = to.write_u16(length).await;
                let _ = to.write_all(&message[..message.len() / 2]).await;
                return;
            }
        }
        if to.write_u16(length).await.is_err() || to.write_all(&message).await.is_err() {
            return;
        }
    }
}

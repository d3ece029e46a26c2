//! The sockets: UDP and TCP on one port. Every answer comes from memory.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use super::answer::{Transport, Zones, answer};

/// TCP connections at once; further ones wait in the listener's backlog.
const CONNECTIONS: usize = 128;
/// How long a TCP client may take for one request or one answer (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// Attempts to find a port that is free for both TCP and UDP.
const PORT_ATTEMPTS: usize = 16;

/// The two sockets of a server.
#[derive(Debug)]
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Where both are bound.
    pub address: SocketAddr,
}

impl Sockets {
    /// Binds both; port 0 takes one that is free for both.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..if address.port() == 0 { PORT_ATTEMPTS } else { 1 } {
            let tcp = TcpListener::bind(address).await?;
            let address = tcp.local_addr()?;
            match UdpSocket::bind(address).await {
                Ok(udp) => return Ok(Self { udp, tcp, address }),
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    /// Serves until the tasks are dropped.
    pub fn serve(self, zones: Arc<RwLock<Zones>>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(self.udp, Arc::clone(&zones)));
        tasks.spawn(serve_tcp(self.tcp, zones));
        tasks
    }
}

fn reply(zones: &RwLock<Zones>, request: &[u8], transport: Transport) -> Option<Vec<u8>> {
    // A writer that panicked left the zones whole: a zone is changed only after everything was checked.
    let zones = zones.read().unwrap_or_else(PoisonError::into_inner);
    answer(&zones, request, transport)
}

async fn serve_udp(socket: UdpSocket, zones: Arc<RwLock<Zones>>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => {
                if let Some(answer) = reply(&zones, &buffer[..length], Transport::Udp)
                    && let Err(error) = socket.send_to(&answer, client).await
                {
                    tracing::debug!(%client, %error, "a DNS answer was not sent");
                }
            }
            // ICMP errors of earlier answers come back here; they concern one client only.
            Err(error) => {
                tracing::debug!(%error, "receiving a DNS request failed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

async fn serve_tcp(listener: TcpListener, zones: Arc<RwLock<Zones>>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                let zones = Arc::clone(&zones);
                connections.spawn(async move {
                    if let Err(error) = converse(stream, &zones).await {
                        tracing::debug!(%client, %error, "a DNS connection ended");
                    }
                    drop(slot);
                });
            }
            // Out of file descriptors, most likely: the clients that are here finish first.
            Err(error) => {
                tracing::warn!(%error, "accepting a DNS connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Requests of one connection, in order, each with its length in front (RFC 1035 section 4.2.2).
async fn converse(mut stream: TcpStream, zones: &RwLock<Zones>) -> io::Result<()> {
    loop {
        let length = match timeout(IDLE, stream.read_u16()).await {
            Err(_) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(length) => length?,
        };
        let mut request = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut request)).await??;
        let Some(answer) = reply(zones, &request, Transport::Tcp) else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let mut out = Vec::with_capacity(answer.len() + 2);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&answer);
        timeout(IDLE, stream.write_all(&out)).await??;
    }
}

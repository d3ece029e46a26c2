//! Connections of the API: bounded in number and time, so that whoever holds them open harms only others who ask.

use std::{sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::timeout,
};

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 64;
/// For the head of a request; and for the next request of a connection.
const HEAD: Duration = Duration::from_secs(10);
/// For everything that is asked over one connection, the reading of the answers included.
const TOTAL: Duration = Duration::from_mins(1);
/// What a client may send: no request has a body.
const BUFFER: usize = 16 * 1024;

/// Times that one server keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    head: Duration,
    total: Duration,
}

/// The usual ones.
pub const PATIENCE: Patience = Patience { head: HEAD, total: TOTAL };

/// Serves until the task is ended. An error to accept (too many open files) is no end: the listener asks again.
pub async fn serve<L: Listener>(mut listener: L, router: Router, patience: Patience) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let (stream, _) = listener.accept().await;
        let router = router.clone();
        tokio::spawn(async move {
            connection(stream, router, patience).await;
            drop(permit);
        });
    }
}

/// Answers what comes over one connection, until it is closed or its time is over.
pub async fn connection<S>(stream: S, router: Router, patience: Patience)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Ok(Err(error)) = timeout(patience.total, connection).await {
        tracing::debug!("a connection to the API ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn started(head: u64, total: u64) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|| async { "ok" }))
            .route("/never", get(|| async { std::future::pending::<String>().await }));
        let patience = Patience { head: Duration::from_millis(head), total: Duration::from_millis(total) };
        tokio::spawn(serve(listener, router, patience));
        address
    }

    /// What comes of a request until the server closes the connection.
    async fn asked(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed with what was not read is a reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn half_a_head_an_idle_connection_and_an_answer_that_never_comes_are_closed() {
        let address = started(100, 300).await;
        assert!(!asked(address, "GET / HTTP/1.1\r\nhost: a\r\n").await.contains("200 OK"));
        assert!(asked(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.contains("200 OK"), "then idle");
        assert_eq!(asked(address, "GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await, "");
    }

    #[tokio::test]
    async fn who_comes_when_all_connections_are_taken_waits_and_is_answered() {
        let address = started(300, 300).await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = asked(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.contains("200 OK"), "{answer}");
    }
}

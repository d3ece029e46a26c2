//! The gRPC server: one delta ADS stream for each Envoy, over a Unix socket, or over TLS behind a [`Gate`].

mod io;
mod partner;
mod unreported;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer},
};
use portolan_model::{GatewayKey, Name};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::mpsc,
};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    board::Board,
    gate::{Gate, Gated, Identity},
    session::{Session, Verdict},
};
use unreported::Unreported;

/// A stream of this process; no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What streams report.
#[derive(Clone, Debug)]
pub enum Report {
    /// A stream has begun: of an Envoy of this Gateway, or of one that has everything.
    Connected(StreamId, Option<GatewayKey>),
    /// How resources stand now; of each the latest.
    Verdicts(StreamId, Vec<Verdict>),
    /// The stream has ended.
    Disconnected(StreamId),
}

/// How often it is looked whether an Envoy is still there, and how long its answer may take: one whose machine is gone closes nothing.
const BEAT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of a request's headers: a token and little else.
const HEADERS: u32 = 24 << 10;
/// Streams of one connection: an Envoy has one.
const STREAMS: u32 = 8;

/// Serves what stands on `board` on `socket` until `stop` resolves.
///
/// # Errors
/// When the server itself fails.
pub async fn serve(
    socket: UnixListener,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(service(board, reports))
        .serve_with_incoming_shutdown(UnixListenerStream::new(socket), stop)
        .await
}

/// The same over TCP, without TLS: for a loopback address alone.
///
/// # Errors
/// When the server itself fails.
pub async fn serve_plain(
    listener: TcpListener,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(service(board, reports))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await
}

/// The same over connections that are private already, to those that the gate lets in: each gets the part of its own Gateway
/// ([`Board::apart`]).
///
/// # Errors
/// When the server itself fails.
pub async fn serve_gated<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    connections: mpsc::Receiver<T>,
    gate: Arc<dyn Gate>,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    let connections = ReceiverStream::new(connections).map(|one| Ok::<_, std::io::Error>(io::Private(one)));
    let ads = Ads { board, reports, gated: true };
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(BEAT))
        .http2_keepalive_timeout(Some(ANSWER))
        .http2_max_header_list_size(Some(HEADERS))
        .max_concurrent_streams(Some(STREAMS))
        .layer(Gated(gate))
        .add_service(sized(ads))
        .serve_with_incoming_shutdown(connections, stop)
        .await
}

fn service(
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
) -> AggregatedDiscoveryServiceServer<Ads> {
    sized(Ads { board, reports, gated: false })
}

fn sized(ads: Ads) -> AggregatedDiscoveryServiceServer<Ads> {
    AggregatedDiscoveryServiceServer::new(ads)
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(256 << 20)
}

struct Ads {
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    /// Whoever asks has been let in by a gate.
    gated: bool,
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Out<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Out<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("only delta ADS is served"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let identity = request.extensions().get::<Identity>().cloned();
        if self.gated && identity.is_none() {
            return Err(Status::unauthenticated("nobody has been let in"));
        }
        let (out, stream) = mpsc::channel(64);
        let (board, reports) = (Arc::clone(&self.board), self.reports.clone());
        tokio::spawn(converse(request.into_inner(), identity, board, reports, out));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// What ends a stream at an instant that is set; never where none is.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Numbers of the streams so far.
static OPENED: AtomicU64 = AtomicU64::new(0);

async fn converse(
    mut requests: Streaming<DeltaDiscoveryRequest>,
    identity: Option<Identity>,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    out: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
) {
    let end = identity.as_ref().map(|identity| identity.until);
    let mut partner = board.partner();
    let admitted = tokio::select! {
        admitted = partner::admitted(&mut requests, &mut partner) => admitted,
        () = until(end) => None,
    };
    let Some((node, first)) = admitted else { return };
    if identity.as_ref().is_some_and(|identity| identity.node != node) {
        tracing::warn!(?identity, node = &*node, "an Envoy asks under another's node id and gets nothing");
        let _ = out.send(Err(Status::permission_denied("the node id is not that of the token's Pod"))).await;
        return;
    }
    let id = StreamId(OPENED.fetch_add(1, Ordering::Relaxed));
    let gateway = identity.map(|identity| identity.gateway);
    let _ = reports.send(Report::Connected(id, gateway.clone()));
    let mut stream = Conversation { id, gateway, node, board, reports, out };
    if let Some(why) = stream.go_on(&mut requests, first, partner, end).await {
        let _ = stream.out.send(Err(why)).await;
    }
    let _ = stream.reports.send(Report::Disconnected(id));
}

/// A stream that has begun.
struct Conversation {
    id: StreamId,
    gateway: Option<GatewayKey>,
    node: Name,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    out: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
}

impl Conversation {
    /// Until it ends; gives what the Envoy is to be told of the end.
    async fn go_on(
        &mut self,
        requests: &mut Streaming<DeltaDiscoveryRequest>,
        first: Vec<DeltaDiscoveryRequest>,
        mut partner: tokio::sync::watch::Receiver<Option<Name>>,
        end: Option<Instant>,
    ) -> Option<Status> {
        let begun = Instant::now();
        let now = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut session = Session::default();
        let mut unreported = Unreported::default();
        let mut news = self.board.news();
        // What it had before this stream: from an earlier run, or from us.
        let mut has = first.iter().any(partner::has_something);
        for request in &first {
            self.board.note_heard();
            session.request(request, now());
        }
        loop {
            news.mark_unchanged();
            // Nothing is said before it is known what is wanted: an Envoy of an earlier run keeps what it has meanwhile.
            let held = has && self.board.holds_back(&self.node);
            let look = || {
                self.board.look_if_known(self.gateway.as_ref(), |wanted, sequence| {
                    (session.responses(wanted, now()), sequence)
                })
            };
            let (responses, sequence) = (!held).then(look).flatten().unwrap_or_default();
            let mut verdicts = session.verdicts();
            for verdict in &mut verdicts {
                // A part counts its own changes, and who hears of it those of the whole.
                verdict.taken = sequence;
            }
            unreported.note(verdicts, now());
            if let Some(verdicts) = unreported.take(session.is_waiting(), now()) {
                let _ = self.reports.send(Report::Verdicts(self.id, verdicts));
            }
            if !responses.is_empty() {
                self.board.note_node(&self.node);
            }
            for response in responses {
                self.note(&response);
                self.out.send(Ok(response)).await.ok()?;
            }
            let due = [session.due(), unreported.due()].into_iter().flatten().min();
            let due = due.map_or(Duration::from_hours(1), |due| {
                Duration::from_millis(due.saturating_sub(now()).max(1))
            });
            tokio::select! {
                request = requests.next() => {
                    let request = request?.ok()?;
                    if let Some(error) = &request.error_detail {
                        tracing::warn!(r#type = request.type_url, error = error.message, "envoy refused a response");
                    }
                    partner::log(&request);
                    has |= partner::has_something(&request);
                    self.board.note_heard();
                    session.request(&request, now());
                }
                changed = news.changed() => changed.ok()?,
                changed = partner.changed() => {
                    changed.ok()?;
                    if !partner::is(&partner, &self.node) {
                        return None;
                    }
                }
                () = until(end) => return Some(Status::unauthenticated("the token has ended: come again with a newer one")),
                () = tokio::time::sleep(due) => {}
            }
        }
    }

    fn note(&self, response: &DeltaDiscoveryResponse) {
        let values = response.resources.iter().filter_map(|resource| resource.resource.as_ref());
        let bytes = values.map(|any| any.value.len()).sum::<usize>();
        self.board.note_sent(response.resources.len(), bytes);
        tracing::debug!(
            r#type = response.type_url,
            sent = response.resources.len(),
            bytes,
            removed = response.removed_resources.len(),
            "xds response"
        );
    }
}

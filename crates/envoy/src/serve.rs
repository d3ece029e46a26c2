//! The gRPC server: one delta ADS stream for each Envoy, over a Unix socket.

mod partner;
mod unreported;

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer},
};
use tokio::{
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
    session::{Session, Verdict},
};
use unreported::Unreported;

/// What streams report.
#[derive(Clone, Debug)]
pub enum Report {
    /// A stream has begun.
    Connected,
    /// How resources stand now; of each the latest.
    Verdicts(Vec<Verdict>),
    /// The stream has ended.
    Disconnected,
}

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

fn service(
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
) -> AggregatedDiscoveryServiceServer<Ads> {
    AggregatedDiscoveryServiceServer::new(Ads { board, reports })
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(256 << 20)
}

struct Ads {
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
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
        let (out, stream) = mpsc::channel(64);
        tokio::spawn(converse(request.into_inner(), Arc::clone(&self.board), self.reports.clone(), out));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

async fn converse(
    mut requests: Streaming<DeltaDiscoveryRequest>,
    board: Arc<Board>,
    reports: mpsc::UnboundedSender<Report>,
    out: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
) {
    let mut partner = board.partner();
    let Some((node, first)) = partner::admitted(&mut requests, &mut partner).await else { return };
    let begun = Instant::now();
    let now = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut session = Session::default();
    let mut unreported = Unreported::default();
    let mut news = board.news();
    let _ = reports.send(Report::Connected);
    // What it had before this stream: from an earlier run, or from us.
    let mut has = first.iter().any(partner::has_something);
    for request in &first {
        session.request(request, now());
    }
    'stream: loop {
        news.mark_unchanged();
        // Nothing is said before it is known what is wanted: an Envoy of an earlier run keeps what it has meanwhile.
        let held = has && board.holds_back(&node);
        let responses =
            (!held).then(|| board.look_if_known(|wanted| session.responses(wanted, now()))).flatten();
        unreported.note(session.verdicts(), now());
        if let Some(verdicts) = unreported.take(session.is_waiting(), now()) {
            let _ = reports.send(Report::Verdicts(verdicts));
        }
        let responses = responses.unwrap_or_default();
        if !responses.is_empty() {
            board.note_node(&node);
        }
        for response in responses {
            let values = response.resources.iter().filter_map(|resource| resource.resource.as_ref());
            let bytes = values.map(|any| any.value.len()).sum::<usize>();
            board.note_sent(response.resources.len(), bytes);
            tracing::debug!(
                r#type = response.type_url,
                sent = response.resources.len(),
                bytes,
                removed = response.removed_resources.len(),
                "xds response"
            );
            if out.send(Ok(response)).await.is_err() {
                break 'stream;
            }
        }
        let due = [session.due(), unreported.due()].into_iter().flatten().min();
        let due = due
            .map_or(Duration::from_hours(1), |due| Duration::from_millis(due.saturating_sub(now()).max(1)));
        tokio::select! {
            request = requests.next() => {
                let Some(Ok(request)) = request else { break };
                if let Some(error) = &request.error_detail {
                    tracing::warn!(r#type = request.type_url, error = error.message, "envoy refused a response");
                }
                partner::log(&request);
                has |= partner::has_something(&request);
                session.request(&request, now());
            }
            changed = news.changed() => if changed.is_err() { break },
            changed = partner.changed() => if changed.is_err() || !partner::is(&partner, &node) { break },
            () = tokio::time::sleep(due) => {}
        }
    }
    let _ = reports.send(Report::Disconnected);
}

//! The gRPC server: one delta ADS stream for each Envoy, over a Unix socket.

use std::{pin::Pin, sync::Arc};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    aggregated_discovery_service_server::{AggregatedDiscoveryService, AggregatedDiscoveryServiceServer},
};
use portolan_core::gateway::rows::WireKey;
use tokio::{net::UnixListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream, wrappers::UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    resources::Board,
    session::{Session, Verdict},
};

/// What streams report.
#[derive(Clone, Debug)]
pub enum Report {
    /// A stream has begun; `has` is what that Envoy already has at the wanted version after its first requests.
    Connected,
    /// Envoy judged a resource.
    Verdict(Verdict),
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
    let service = AggregatedDiscoveryServiceServer::new(Ads { board, reports })
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(256 << 20);
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(UnixListenerStream::new(socket), stop)
        .await
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
    let mut session = Session::default();
    let mut news = board.news();
    let _ = reports.send(Report::Connected);
    loop {
        news.mark_unchanged();
        for response in board.look(|wanted| session.responses(wanted)) {
            tracing::debug!(
                r#type = response.type_url,
                sent = response.resources.len(),
                removed = response.removed_resources.len(),
                "xds response"
            );
            if out.send(Ok(response)).await.is_err() {
                break;
            }
        }
        tokio::select! {
            request = requests.next() => {
                let Some(Ok(request)) = request else { break };
                // What a reconnecting Envoy says it has at the wanted version counts as acked.
                for (name, version) in &request.initial_resource_versions {
                    let r#type = crate::resources::TYPES.into_iter().find(|t| crate::resources::type_url(*t) == request.type_url);
                    if let Some(r#type) = r#type {
                        let key = WireKey { r#type, name: name.as_str().into() };
                        let _ = reports.send(Report::Verdict(Verdict { key, version: version.clone(), result: Ok(()) }));
                    }
                }
                if let Some(error) = &request.error_detail {
                    tracing::warn!(r#type = request.type_url, error = error.message, "envoy refused a response");
                }
                for verdict in session.request(&request) {
                    let _ = reports.send(Report::Verdict(verdict));
                }
            }
            changed = news.changed() => if changed.is_err() { break },
        }
    }
    let _ = reports.send(Report::Disconnected);
}

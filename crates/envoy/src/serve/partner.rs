//! Which stream is answered: that of the Envoy which is spoken to ([`crate::board::Board::speak_to`]).

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use portolan_model::Name;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

/// Requests that are kept of a stream that is not answered: one of each type, and a few more.
const MOST: usize = 64;

/// Waits until the Envoy of a stream is the one that is spoken to; gives its node and what it has asked for meanwhile.
/// `None` if the stream ends before, or goes on without an answer.
pub async fn admitted(
    requests: &mut (impl Stream<Item = Result<DeltaDiscoveryRequest, Status>> + Unpin),
    partner: &mut watch::Receiver<Option<Name>>,
) -> Option<(Name, Vec<DeltaDiscoveryRequest>)> {
    let first = requests.next().await?.ok()?;
    log(&first);
    let node: Name = first.node.as_ref().map(|node| node.id.as_str()).unwrap_or_default().into();
    let mut asked = vec![first];
    while !is(partner, &node) {
        tokio::select! {
            request = requests.next() => asked.push(request?.ok()?),
            changed = partner.changed() => changed.ok()?,
        }
        if asked.len() > MOST {
            return None;
        }
    }
    Some((node, asked))
}

/// Whether a node is the one that is spoken to.
pub fn is(partner: &watch::Receiver<Option<Name>>, node: &Name) -> bool {
    partner.borrow().as_ref().is_none_or(|partner| partner == node)
}

/// Whether a request says that its Envoy has resources from before the stream.
pub fn has_something(request: &DeltaDiscoveryRequest) -> bool {
    !request.initial_resource_versions.is_empty()
}

/// For whoever looks for a fault.
pub fn log(request: &DeltaDiscoveryRequest) {
    tracing::debug!(
        r#type = request.type_url,
        nonce = request.response_nonce,
        subscribe = request.resource_names_subscribe.len(),
        unsubscribe = request.resource_names_unsubscribe.len(),
        has = request.initial_resource_versions.len(),
        "xds request"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use envoy_types::pb::envoy::config::core::v3::Node;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    fn request(node: Option<&str>, url: &str) -> DeltaDiscoveryRequest {
        let node = node.map(|id| Node { id: id.into(), ..Default::default() });
        DeltaDiscoveryRequest { node, type_url: url.into(), ..Default::default() }
    }

    #[tokio::test]
    async fn the_stream_of_another_node_waits_for_its_turn() {
        let (partner, mut seen) = watch::channel(Some(Name::from("new")));
        let (asks, asked) = mpsc::unbounded_channel();
        let mut asked = UnboundedReceiverStream::new(asked);
        asks.send(Ok(request(Some("old"), "clusters"))).unwrap();
        asks.send(Ok(request(None, "listeners"))).unwrap();
        tokio::select! {
            biased;
            _ = admitted(&mut asked, &mut seen) => panic!("it is not answered"),
            () = tokio::task::yield_now() => {}
        }
        // What it asked for until then has gone with the question: it asks again.
        asks.send(Ok(request(Some("old"), "clusters"))).unwrap();
        asks.send(Ok(request(None, "listeners"))).unwrap();
        let (admitted_now, ()) = tokio::join!(admitted(&mut asked, &mut seen), async {
            tokio::task::yield_now().await;
            partner.send_replace(Some("old".into()));
        });
        let (node, first) = admitted_now.unwrap();
        assert_eq!((&*node, first.len()), ("old", 2));
        assert!(is(&seen, &node));
        partner.send_replace(Some("new".into()));
        assert!(!is(&seen, &node));
        // Who is spoken to is not made to wait, and a stream that ends is given up.
        let (asks, asked) = mpsc::unbounded_channel();
        let mut asked = UnboundedReceiverStream::new(asked);
        asks.send(Ok(request(Some("new"), "clusters"))).unwrap();
        assert_eq!(admitted(&mut asked, &mut seen).await.unwrap().1.len(), 1);
        asks.send(Ok(request(Some("old"), "clusters"))).unwrap();
        drop(asks);
        assert!(admitted(&mut asked, &mut seen).await.is_none());
    }
}

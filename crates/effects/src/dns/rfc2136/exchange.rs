//! Messages to one server over TCP, signed and checked (RFC 8945), with a bound on each wait.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use domain::{
    base::{
        Message, MessageBuilder,
        iana::{Opcode, Rcode},
        message_builder::AdditionalBuilder,
    },
    rdata::tsig::Time48,
    tsig::{self, ClientSequence, ClientTransaction, ValidationError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Room in a message, the signature left out; a message has 65,535 bytes.
pub(super) const ROOM: usize = 64_000;

/// Why a request was not answered as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent: the server cannot be reached.
    Unreachable(String),
    /// It was sent, and what became of it is not known.
    Lost(String),
    /// The server, or we, do not accept the signature: nothing was done.
    Signature(String),
    /// The server said why not.
    Code(Rcode),
}

/// A message that is being made; its header is that of a request.
pub(super) fn message(opcode: Opcode) -> MessageBuilder<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec();
    builder.set_push_limit(ROOM);
    let header = builder.header_mut();
    header.set_random_id();
    header.set_opcode(opcode);
    builder
}

/// One connection to a server.
pub(super) struct Connection<'k> {
    server: SocketAddr,
    key: Option<&'k tsig::Key>,
    patience: Duration,
    stream: TcpStream,
}

impl<'k> Connection<'k> {
    pub(super) async fn open(
        server: SocketAddr,
        key: Option<&'k tsig::Key>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let away = |why: String| Failure::Unreachable(format!("{server} cannot be reached: {why}"));
        let stream = timeout(patience, TcpStream::connect(server)).await;
        let stream = stream
            .map_err(|_| away(format!("no connection within {} s", patience.as_secs())))?
            .map_err(|error| away(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| away(error.to_string()))?;
        Ok(Self { server, key, patience, stream })
    }

    /// A connection to the same server on which nothing is still to come.
    pub(super) async fn reopen(&mut self) -> Result<(), Failure> {
        *self = Self::open(self.server, self.key, self.patience).await?;
        Ok(())
    }

    /// Sends a request and gives its one answer, whose code is not an error.
    pub(super) async fn ask(
        &mut self,
        mut request: AdditionalBuilder<Vec<u8>>,
    ) -> Result<Message<Vec<u8>>, Failure> {
        request.clear_push_limit();
        let id = request.as_builder_mut().header().id();
        let signed = match self.key {
            Some(key) => {
                Some(ClientTransaction::request(key, &mut request, Time48::now()).map_err(unsigned)?)
            }
            None => None,
        };
        self.send(&request.finish()).await?;
        let mut answer = self.receive(id).await?;
        if let Some(signed) = signed {
            let checked = signed.answer(&mut answer, Time48::now());
            checked.map_err(|error| self.refused(error, answer.header().rcode()))?;
        }
        match answer.header().rcode() {
            Rcode::NOERROR => Ok(answer),
            code => Err(Failure::Code(code)),
        }
    }

    /// Sends a request for a transfer and gives the messages of its answer to `take`, until that says that it was the last.
    pub(super) async fn ask_for_many(
        &mut self,
        mut request: AdditionalBuilder<Vec<u8>>,
        mut take: impl FnMut(Message<Bytes>) -> Result<bool, String>,
    ) -> Result<(), Failure> {
        request.clear_push_limit();
        let id = request.as_builder_mut().header().id();
        let mut signed = match self.key {
            Some(key) => Some(ClientSequence::request(key, &mut request, Time48::now()).map_err(unsigned)?),
            None => None,
        };
        self.send(&request.finish()).await?;
        loop {
            let mut answer = self.receive(id).await?;
            if let Some(signed) = &mut signed {
                let checked = signed.answer(&mut answer, Time48::now());
                checked.map_err(|error| self.refused(error, answer.header().rcode()))?;
            }
            match answer.header().rcode() {
                Rcode::NOERROR => {}
                code => return Err(Failure::Code(code)),
            }
            let answer = Message::from_octets(Bytes::from(answer.into_octets()));
            let answer = answer.map_err(|_| Failure::Lost(self.malformed()))?;
            if take(answer).map_err(Failure::Lost)? {
                break;
            }
        }
        // The last message must be signed: what came between is only as good as that.
        let end = signed.map_or(Ok(()), ClientSequence::done);
        end.map_err(|error| self.refused(error, Rcode::NOERROR))
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let length = u16::try_from(message.len());
        let length =
            length.map_err(|_| Failure::Unreachable("the request is longer than a message".into()))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        let sent = timeout(self.patience, self.stream.write_all(&framed)).await;
        sent.map_err(|_| Failure::Lost(self.silent()))?.map_err(|error| Failure::Lost(self.broke(&error)))
    }

    async fn receive(&mut self, id: u16) -> Result<Message<Vec<u8>>, Failure> {
        let message = timeout(self.patience, async {
            let length = self.stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            self.stream.read_exact(&mut message).await?;
            Ok(message)
        });
        let message = message.await.map_err(|_| Failure::Lost(self.silent()))?;
        let message = message.map_err(|error| Failure::Lost(self.broke(&error)))?;
        let message = Message::from_octets(message).map_err(|_| Failure::Lost(self.malformed()))?;
        if !message.header().qr() || message.header().id() != id {
            return Err(Failure::Lost(self.malformed()));
        }
        Ok(message)
    }

    fn silent(&self) -> String {
        format!("{} did not answer within {} s", self.server, self.patience.as_secs())
    }

    fn broke(&self, error: &std::io::Error) -> String {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            return format!("{} closed the connection before its answer was whole", self.server);
        }
        format!("the connection to {} broke: {error}", self.server)
    }

    fn malformed(&self) -> String {
        format!("{} sent something that is no answer to the request", self.server)
    }

    /// What is wrong between the two sides of a signature.
    fn refused(&self, error: ValidationError, code: Rcode) -> Failure {
        let server = self.server;
        let name = self.key.map(|key| key.name().to_string()).unwrap_or_default();
        Failure::Signature(match error {
            ValidationError::ServerBadKey => {
                format!("{server} does not know the TSIG key {name} (BADKEY); check its name and algorithm")
            }
            ValidationError::ServerBadSig => {
                format!("{server} has another secret for the TSIG key {name} (BADSIG)")
            }
            ValidationError::ServerBadTime { .. } | ValidationError::BadTime => format!(
                "the clocks of {server} and of this machine differ by more than five minutes (BADTIME)"
            ),
            ValidationError::ServerUnsigned | ValidationError::TooManyUnsigned => format!(
                "{server} answered {code} without a signature of the TSIG key {name}; the answer counts for nothing"
            ),
            error => format!("the signature of {server}'s answer ({code}) does not fit: {error}"),
        })
    }
}

fn unsigned(_: domain::base::message_builder::PushError) -> Failure {
    Failure::Unreachable("the request has no room for its signature".into())
}

//! A message as a tree: read from prost's `Debug`, with what is packed unpacked and without what is not set.

use std::{fmt::Debug, iter::Peekable, str::CharIndices};

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::pb::envoy::{
    config::{
        cluster::v3::Cluster,
        endpoint::v3::LbEndpoint,
        listener::v3::{FilterChainMatch, Listener},
        route::v3::RouteAction,
    },
    extensions::{
        access_loggers::filters::cel::v3::ExpressionFilter,
        filters::{
            http::{cors::v3::CorsPolicy, router::v3::Router, stateful_session::v3::StatefulSessionPerRoute},
            listener::tls_inspector::v3::TlsInspector,
            network::{
                direct_response::v3::Config as DirectResponse,
                http_connection_manager::v3::HttpConnectionManager, tcp_proxy::v3::TcpProxy,
            },
            udp::udp_proxy::v3::{Route as UdpRoute, UdpProxyConfig},
        },
        http::{
            early_header_mutation::header_mutation::v3::HeaderMutation,
            stateful_session::{cookie::v3::CookieBasedSessionState, header::v3::HeaderBasedSessionState},
        },
        retry::host::previous_hosts::v3::PreviousHostsPredicate,
        transport_sockets::{
            raw_buffer::v3::RawBuffer,
            tls::v3::{CertificateValidationContext, DownstreamTlsContext, UpstreamTlsContext},
        },
        upstreams::http::v3::HttpProtocolOptions,
    },
};
use prost::{Message, Name};

/// How wide a line may be.
const WIDTH: usize = 118;

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A number, or a name of an enumeration.
    Word(String),
    /// A text, quoted.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Struct(String, Vec<(String, Node)>),
    /// `Some(…)` and the variants of a `oneof`.
    Tuple(String, Vec<Node>),
}

/// Without what is not set.
pub fn of(message: &impl Debug) -> Node {
    tidy(parse(&format!("{message:?}")))
}

fn parse(text: &str) -> Node {
    let mut reader = Reader { text, at: text.char_indices().peekable() };
    reader.node()
}

struct Reader<'a> {
    text: &'a str,
    at: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn peek(&mut self) -> char {
        while self.at.next_if(|(_, c)| matches!(c, ' ' | ',' | ':')).is_some() {}
        self.at.peek().map_or('\0', |(_, c)| *c)
    }

    fn place(&mut self) -> usize {
        self.at.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn word(&mut self) -> String {
        self.peek();
        let begin = self.place();
        let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '#' | '-' | '.' | '+');
        while self.at.next_if(|(_, c)| part(c)).is_some() {}
        let end = self.place();
        assert!(end > begin, "no word at {}", &self.text[begin..]);
        self.text[begin..end].to_owned()
    }

    fn many<T>(&mut self, end: char, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.at.next();
        let mut all = Vec::new();
        while self.peek() != end {
            all.push(one(self));
        }
        self.at.next();
        all
    }

    fn node(&mut self) -> Node {
        match self.peek() {
            '"' => {
                let begin = self.place();
                self.at.next();
                while let Some((_, c)) = self.at.next().filter(|(_, c)| *c != '"') {
                    if c == '\\' {
                        self.at.next();
                    }
                }
                let end = self.place();
                Node::Text(self.text[begin..end].to_owned())
            }
            '[' => Node::List(self.many(']', Self::node)),
            '{' => Node::Map(self.many('}', |r| (r.node(), r.node()))),
            _ => {
                let name = self.word();
                // Not `peek`: what follows a blank is a struct's brace only.
                match self.peek_raw() {
                    '(' => Node::Tuple(name, self.many(')', Self::node)),
                    '{' => {
                        self.peek();
                        Node::Struct(name, self.many('}', |r| (r.word(), r.node())))
                    }
                    _ => Node::Word(name),
                }
            }
        }
    }

    fn peek_raw(&mut self) -> char {
        let rest = &self.text[self.place()..];
        let rest = rest.strip_prefix(" {").map_or(rest, |_| "{");
        rest.chars().next().unwrap_or('\0')
    }
}

/// The content, if it is one of these.
macro_rules! unpack {
    ($url:expr, $bytes:expr; $($t:ty),*) => {{
        $(if $url == <$t>::type_url() {
            return Some(of(&<$t>::decode($bytes).unwrap()));
        })*
        None
    }};
}

fn unpacked(url: &str, bytes: &[u8]) -> Option<Node> {
    unpack!(url, bytes; HttpConnectionManager, DownstreamTlsContext, HttpProtocolOptions, HeaderMutation, TlsInspector,
        DirectResponse, Router, ExpressionFilter, CorsPolicy, StatefulSessionPerRoute, CookieBasedSessionState,
        HeaderBasedSessionState, PreviousHostsPredicate, UpstreamTlsContext, RawBuffer, TcpProxy, UdpProxyConfig, UdpRoute)
}

/// What such a message has if nobody sets it: enumerations print their first name.
fn defaults(name: &str) -> Option<Node> {
    Some(parse(&match name {
        "HttpConnectionManager" => format!("{:?}", HttpConnectionManager::default()),
        "Listener" => format!("{:?}", Listener::default()),
        "Cluster" => format!("{:?}", Cluster::default()),
        "CertificateValidationContext" => format!("{:?}", CertificateValidationContext::default()),
        "DownstreamTlsContext" => format!("{:?}", DownstreamTlsContext::default()),
        "FilterChainMatch" => format!("{:?}", FilterChainMatch::default()),
        "LbEndpoint" => format!("{:?}", LbEndpoint::default()),
        "TcpProxy" => format!("{:?}", TcpProxy::default()),
        "UdpProxyConfig" => format!("{:?}", UdpProxyConfig::default()),
        "RouteAction" => format!("{:?}", RouteAction::default()),
        _ => return None,
    }))
}

fn bytes(node: &Node) -> Option<Vec<u8>> {
    let Node::List(all) = node else { return None };
    all.iter().map(|one| if let Node::Word(word) = one { word.parse().ok() } else { None }).collect()
}

/// The same bytes, the same text: no value of a Secret is shown.
fn short(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let hex: String = hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes #{hex}", bytes.len())
}

fn unset(node: &Node) -> bool {
    match node {
        Node::Word(word) => matches!(&**word, "None" | "0" | "false" | "0.0"),
        Node::Text(text) => text == "\"\"",
        Node::List(all) => all.is_empty(),
        Node::Map(all) => all.is_empty(),
        _ => false,
    }
}

fn tidy(node: Node) -> Node {
    match node {
        Node::Tuple(name, mut all) if name == "Some" && all.len() == 1 => tidy(all.remove(0)),
        Node::Tuple(name, all) => Node::Tuple(name, all.into_iter().map(tidy).collect()),
        Node::List(all) => match bytes(&Node::List(all.clone())) {
            Some(bytes) if !bytes.is_empty() => Node::Word(short(&bytes)),
            _ => Node::List(all.into_iter().map(tidy).collect()),
        },
        Node::Map(all) => {
            let mut all: Vec<_> = all.into_iter().map(|(k, v)| (tidy(k), tidy(v))).collect();
            all.sort_by_key(|(key, _)| key.flow());
            Node::Map(all)
        }
        Node::Struct(name, fields) => structure(name, fields),
        other => other,
    }
}

fn structure(name: String, fields: Vec<(String, Node)>) -> Node {
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    match (&*name, field("value"), field("type_url")) {
        ("Any", value, Some(Node::Text(url))) => {
            let (url, value) = (url.trim_matches('"'), value.and_then(bytes).unwrap_or_default());
            return unpacked(url, &value).unwrap_or_else(|| {
                let kind = url.rsplit('.').next().unwrap_or_default();
                Node::Word(format!("{kind} of {}", short(&value)))
            });
        }
        ("BoolValue" | "UInt32Value" | "UInt64Value", Some(value), _) => return value.clone(),
        ("Duration", ..) => {
            let number = |name| field(name).map(Node::flow).unwrap_or_default();
            let nanos: u32 = number("nanos").parse().unwrap();
            let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}") };
            return Node::Word(format!("{}{}s", number("seconds"), fraction.trim_end_matches('0')));
        }
        _ => {}
    }
    let usual = match defaults(&name) {
        Some(Node::Struct(_, usual)) => usual,
        _ => vec![],
    };
    // Where something is set to zero on purpose, it stands in `Some`.
    let set = |(at, (_, value)): &(usize, (String, Node))| {
        !unset(value) && usual.get(*at).is_none_or(|(_, usual)| usual != value)
    };
    let fields: Vec<(String, Node)> =
        fields.into_iter().enumerate().filter(set).map(|(_, (name, value))| (name, tidy(value))).collect();
    let all: Vec<String> = fields.iter().map(|(_, value)| value.flow()).collect();
    match (&*name, &*all) {
        ("SocketAddress", [.., address, port]) => {
            let port = port.trim_start_matches("PortValue(").trim_end_matches(')');
            Node::Word(format!("{} {address}:{port}", all[..all.len() - 2].join(" ")).trim().to_owned())
        }
        ("Pipe", [path]) => Node::Word(format!("Pipe {path}")),
        ("Address", [address]) => {
            let address = address.trim_start_matches("Pipe(");
            Node::Word(address.trim_start_matches("SocketAddress(").trim_end_matches(')').to_owned())
        }
        // The one source of everything.
        ("ConfigSource", [version, from]) if from.starts_with("Ads") => Node::Word(format!("ADS {version}")),
        _ => Node::Struct(name, fields),
    }
}

fn plain(quoted: &str) -> &str {
    let inside = &quoted[1..quoted.len() - 1];
    let simple = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*' | ':' | '<' | '>');
    if !inside.is_empty() && inside.chars().all(simple) { inside } else { quoted }
}

impl Node {
    /// On one line.
    pub fn flow(&self) -> String {
        let join = |all: Vec<String>| all.join(", ");
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(text) => plain(text).to_owned(),
            Self::List(all) => format!("[{}]", join(all.iter().map(Self::flow).collect())),
            Self::Map(all) => {
                format!(
                    "{{{}}}",
                    join(all.iter().map(|(k, v)| format!("{}: {}", k.flow(), v.flow())).collect())
                )
            }
            Self::Struct(_, all) => {
                format!("{{{}}}", join(all.iter().map(|(k, v)| format!("{k}: {}", v.flow())).collect()))
            }
            Self::Tuple(name, all) => format!("{name}({})", join(all.iter().map(Self::flow).collect())),
        }
    }

    /// On one line where it fits, else field by field.
    pub fn text(&self, indent: usize) -> String {
        let blank = " ".repeat(indent);
        let flow = self.flow();
        if indent + flow.chars().count() <= WIDTH {
            return blank + &flow;
        }
        let entry = |mark: String, value: &Self| {
            let flow = value.flow();
            if indent + mark.chars().count() + 1 + flow.chars().count() <= WIDTH {
                return format!("{blank}{mark} {flow}");
            }
            match value {
                Self::Word(_) | Self::Text(_) => format!("{blank}{mark} {flow}"),
                _ if mark == "-" => {
                    let inner = value.text(indent + 2);
                    format!("{blank}- {}", inner.trim_start())
                }
                _ => format!("{blank}{mark}\n{}", value.text(indent + 2)),
            }
        };
        let lines: Vec<String> = match self {
            Self::Word(_) | Self::Text(_) => vec![blank + &flow],
            Self::List(all) => all.iter().map(|one| entry("-".into(), one)).collect(),
            Self::Map(all) => all.iter().map(|(k, v)| entry(format!("{}:", k.flow()), v)).collect(),
            Self::Struct(_, all) => all.iter().map(|(k, v)| entry(format!("{k}:"), v)).collect(),
            Self::Tuple(name, all) => all.iter().map(|one| entry(format!("{name}:"), one)).collect(),
        };
        lines.join("\n")
    }

    /// Puts `by` in place of what shows as `text`.
    pub fn replace(&mut self, text: &str, by: &Self) {
        if self.flow() == text {
            self.clone_from(by);
            return;
        }
        match self {
            Self::List(all) | Self::Tuple(_, all) => all.iter_mut().for_each(|one| one.replace(text, by)),
            Self::Map(all) => all.iter_mut().for_each(|(_, one)| one.replace(text, by)),
            Self::Struct(_, all) => all.iter_mut().for_each(|(_, one)| one.replace(text, by)),
            Self::Word(_) | Self::Text(_) => {}
        }
    }
}

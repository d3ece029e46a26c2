//! Arguments of `run`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::ValueEnum;
use portolan_core::capability::{Asked, Capability};
use portolan_model::Name;

use super::socket;
use crate::driver::Range;

/// Arguments of `run`.
#[derive(clap::Args, Clone, Debug)]
pub struct Run {
    /// Kubeconfig. Default: what KUBECONFIG names, else ~/.kube/config, else the credentials of the Pod that this runs in
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: the current one
    #[arg(long)]
    pub context: Option<String>,
    /// Look only at this namespace, and at what stands in none. Repeatable. Default: all
    #[arg(long, value_name = "NAMESPACE")]
    pub watch_namespace: Vec<Name>,
    /// A controllerName whose GatewayClasses are served. Repeatable; Envoy Gateway's own is taken only if it is named
    #[arg(long, value_name = "NAME", default_value = "portolan.dev/gateway-controller", value_parser = controller)]
    pub controller: Vec<Name>,
    /// What a capability does: gateway, certificates, dns, secrets, replication or policy, and off, observe or act. Repeatable.
    /// Default of gateway and certificates: act, and observe where a controller that does the same runs in the cluster. The others are
    /// not built for clusters yet
    #[arg(long, value_name = "CAPABILITY=MODE", value_parser = capability)]
    pub capability: Vec<(Capability, Asked)>,
    /// Namespace in which the Secrets of ClusterIssuers stand, as cert-manager's flag of that name. Default: cert-manager, or the first
    /// --watch-namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub cluster_resource_namespace: Option<Name>,
    /// Namespace of the Lease that decides which replica writes. Default: that of the context, or of the Pod
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<Name>,
    /// Name of that Lease: one for all replicas of an installation
    #[arg(long, value_name = "NAME", default_value = "portolan")]
    pub lease: Name,
    /// How long a replica that is not heard of keeps the Lease, such as 15s
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease_time, allow_hyphen_values = true)]
    pub lease_time: Duration,
    /// What this replica is called in the Lease and in events. Default: the name of the machine, which is that of the Pod
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<Name>,
    /// Give Gateways addresses of this range, each its own: for an Envoy on a machine that has them. Without it Gateways wait for an
    /// address, as no load balancer is made for them yet
    #[arg(long, value_name = "NETWORK/BITS")]
    pub gateway_addresses: Option<Range>,
    /// Start an Envoy beside this program and serve all Gateways with it
    #[arg(long)]
    pub local_envoy: bool,
    /// Program of that Envoy. Default: the one beside this program, then PATH
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_ENVOY", value_parser = crate::tools::path(), requires = "local_envoy")]
    pub envoy: Option<PathBuf>,
    /// Address at which Envoys ask for their configuration; port 0 takes a free one. On loopback without TLS, and every Envoy gets all. Anywhere
    /// else with TLS from a CA of Portolan's own (Secret `<lease>-xds` in --namespace), and only to Pods that show who they are by a
    /// ServiceAccount token made for `portolan-xds`: each gets what its own Gateway serves
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:18000", value_parser = socket, conflicts_with = "local_envoy")]
    pub xds_listen: SocketAddr,
    /// Where Envoys of the cluster find all replicas: a name or address that stands in the certificate. Default: the Service
    /// `<lease>-xds` in --namespace, with the port of --xds-listen
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "local_envoy", value_parser = host_and_port)]
    pub xds_address: Option<(String, u16)>,
    /// Image of the Envoys that are made for Gateways; best by digest. An EnvoyProxy names another for its Gateway
    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "docker.io/envoyproxy/envoy:v1.40.0",
        conflicts_with = "local_envoy"
    )]
    pub envoy_image: String,
    /// Print the start configuration of an Envoy that asks at --xds-listen, and end
    #[arg(long, conflicts_with = "local_envoy")]
    pub print_bootstrap: bool,
    /// Address of the read-only HTTP API, metrics, health and readiness; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9470", value_parser = socket)]
    pub api_listen: SocketAddr,
    /// Directory (0700) for the files of a local Envoy. Default: one that goes with this program
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Form of the log
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

impl Run {
    /// Where the Secrets of ClusterIssuers stand.
    ///
    /// # Errors
    /// When that is not looked at: what is there would be taken for missing.
    pub fn cluster_resource_namespace(&self) -> anyhow::Result<Name> {
        let watched = &self.watch_namespace;
        let Some(named) = &self.cluster_resource_namespace else {
            return Ok(watched.first().cloned().unwrap_or_else(|| "cert-manager".into()));
        };
        anyhow::ensure!(
            watched.is_empty() || watched.contains(named),
            "--cluster-resource-namespace {named} is not looked at: add --watch-namespace {named}"
        );
        Ok(named.clone())
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn controller(text: &str) -> Result<Name, String> {
    // The form that the definition of GatewayClass asks for.
    let (domain, path) = text.split_once('/').unwrap_or((text, ""));
    if domain.is_empty() || path.is_empty() || !text.is_ascii() {
        return Err("write DOMAIN/PATH, such as portolan.dev/gateway-controller".into());
    }
    Ok(text.into())
}

/// `certificates=off`.
pub fn capability(text: &str) -> Result<(Capability, Asked), String> {
    let names = || Capability::ALL.map(Capability::name).join(", ");
    let (name, mode) = text.split_once('=').ok_or("write CAPABILITY=MODE, such as gateway=observe")?;
    let name = Capability::of(name)
        .ok_or_else(|| format!("there is no capability {name}; write one of: {}", names()))?;
    let mode = match mode {
        "off" => Asked::Off,
        "observe" => Asked::Observe,
        "act" => Asked::Act,
        _ => return Err(format!("{mode} is no mode; write off, observe or act")),
    };
    Ok((name, mode))
}

/// A Lease that is renewed every two seconds cannot last for one.
fn lease_time(text: &str) -> Result<Duration, String> {
    let time = super::duration(text)?;
    if !(6..=300).contains(&time.as_secs()) {
        return Err("write a time between 6s and 300s".into());
    }
    Ok(time)
}

/// `portolan-xds.edge.svc:18000`, `10.0.0.1:18000` or `[fd00::1]:18000`.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || "write HOST:PORT, such as portolan-xds.portolan-system.svc:18000".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = |host: &str| {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        host.len() <= 253 && host.split('.').all(label)
    };
    if host.parse::<std::net::IpAddr>().is_err() && !name(host) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_are_told_a_name_or_an_address() {
        let is = |text: &str| host_and_port(text).map(|(host, _)| host);
        assert_eq!(is("portolan-xds.edge.svc:18000").as_deref(), Ok("portolan-xds.edge.svc"));
        assert_eq!(is("10.77.0.1:1").as_deref(), Ok("10.77.0.1"));
        assert_eq!(is("[fd00::1]:1").as_deref(), Ok("fd00::1"));
        for wrong in ["portolan-xds", "portolan-xds:0", ":18000", "a..b:1", "a b:1", "fd00::1:x"] {
            assert!(is(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_wrong_is_told_with_what_may_be_written() {
        assert_eq!(capability("gateway=act"), Ok((Capability::Gateway, Asked::Act)));
        for (text, told) in [
            ("gateways=act", "replication"),
            ("gateway=on", "off, observe or act"),
            ("gateway", "CAPABILITY=MODE"),
        ] {
            assert!(capability(text).is_err_and(|why| why.contains(told)), "{text}");
        }
        assert!(controller("portolan.dev/x").is_ok() && controller("portolan.dev").is_err());
        assert!(lease_time("15s").is_ok() && lease_time("2s").is_err());
    }
}

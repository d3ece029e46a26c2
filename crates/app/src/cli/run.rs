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
    /// Default of gateway: act, and observe where a controller that does the same runs in the cluster. The others are not built
    /// for clusters yet
    #[arg(long, value_name = "CAPABILITY=MODE", value_parser = capability)]
    pub capability: Vec<(Capability, Asked)>,
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
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_ENVOY", requires = "local_envoy")]
    pub envoy: Option<PathBuf>,
    /// Address at which Envoys ask for their configuration: on loopback, as it is without TLS; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:18000", value_parser = plain, conflicts_with = "local_envoy")]
    pub xds_listen: SocketAddr,
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

fn capability(text: &str) -> Result<(Capability, Asked), String> {
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

fn plain(text: &str) -> Result<SocketAddr, String> {
    let at = socket(text)?;
    if !at.ip().is_loopback() {
        return Err(format!(
            "{} is not a loopback address: what Envoys are told holds private keys, and xDS over TLS is not built yet",
            at.ip()
        ));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_over_loopback_only() {
        assert!(plain("127.0.0.1:18000").is_ok() && plain("[::1]:0").is_ok());
        for at in ["0.0.0.0:18000", "10.77.0.1:18000", "[::]:18000", "here"] {
            assert!(plain(at).is_err(), "{at}");
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

//! Which cluster a person means: that of the kubeconfig, or the one whose Pod this is.
//!
//! A kubeconfig holds tokens, and its credential plugins print them. So no error repeats what stands in either: the errors of kube
//! do, which is why they are put into words here.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kube::{
    client::AuthError,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::client::connect;

/// How long a credential plugin may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API server that is meant, and a client for it.
pub struct Cluster {
    /// Its URL.
    pub server: String,
    /// The namespace that is meant where none is named: that of the context, or of the Pod.
    pub namespace: String,
    /// What speaks to it.
    pub client: kube::Client,
}

/// The cluster of a context of the kubeconfig; without one of the current context, and without a kubeconfig that of this Pod.
///
/// `file` names one kubeconfig. Without it, as kubectl does: of the files that `KUBECONFIG` names those that are there are merged, the first that says something wins.
///
/// # Errors
/// A sentence that names the file and what is wrong with it, and nothing that stands in it.
pub async fn named(file: Option<&Path>, context: Option<&str>) -> Result<Cluster, Arc<str>> {
    let options =
        KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    let kubeconfig = match file {
        // Whoever names one means it, whatever else there is.
        Some(file) => {
            let read = Kubeconfig::read_from(file);
            Some(read.map_err(|why| format!("{}: {}", file.display(), of_kubeconfig(&why)))?)
        }
        None => kubeconfig(std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir())?,
    };
    let config = match kubeconfig {
        Some(kubeconfig) => kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|why| format!("the kubeconfig cannot be used: {}", of_kubeconfig(&why)))?,
        None if context.is_some() => {
            return Err("a context is named, and there is no kubeconfig (KUBECONFIG, ~/.kube/config)".into());
        }
        None => kube::Config::incluster().map_err(|_| {
            "no cluster is named: there is no kubeconfig (KUBECONFIG, ~/.kube/config), and this is no Pod"
        })?,
    };
    let server = config.cluster_url.to_string();
    let namespace = config.default_namespace.clone();
    // A plugin is run while the client is made, and waited for. In a thread that nobody waits for: the end of the program does not
    // hang on it.
    let (done, made) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let _inside = runtime.enter();
        let _ = done.send(connect(config));
    });
    let client = match tokio::time::timeout(PATIENCE, made).await {
        Ok(Ok(client)) => client.map_err(|why| of_client(&why))?,
        Ok(Err(_)) => return Err("the client could not be made".into()),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "the credential plugin of the kubeconfig has not answered within {seconds} s: run it by hand to see what it waits for"
            )
            .into());
        }
    };
    Ok(Cluster { server, namespace, client })
}

/// What the files say together; `None` if there are none.
fn kubeconfig(named: Option<&OsStr>, home: Option<PathBuf>) -> Result<Option<Kubeconfig>, Arc<str>> {
    let named: Vec<PathBuf> = named.iter().flat_map(std::env::split_paths).collect();
    let mut paths: Vec<PathBuf> = named.into_iter().filter(|path| !path.as_os_str().is_empty()).collect();
    if paths.is_empty() {
        paths.extend(home.map(|home| home.join(".kube/config")));
    }
    let mut all: Option<Kubeconfig> = None;
    for path in paths {
        let more = match Kubeconfig::read_from(&path) {
            Ok(more) => more,
            Err(KubeconfigError::ReadConfig(why, _)) if why.kind() == std::io::ErrorKind::NotFound => {
                continue;
            }
            Err(why) => return Err(format!("{}: {}", path.display(), of_kubeconfig(&why)).into()),
        };
        let merged = all.take().unwrap_or_default().merge(more);
        all = Some(merged.map_err(|why| format!("{}: {}", path.display(), of_kubeconfig(&why)))?);
    }
    Ok(all)
}

fn of_kubeconfig(why: &KubeconfigError) -> String {
    match why {
        KubeconfigError::CurrentContextNotSet => {
            "it names no current context: name one with --context".into()
        }
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "it is of another kind or version than the files before it".into()
        }
        KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name}"),
        KubeconfigError::ReadConfig(why, _) => format!("it cannot be read: {why}"),
        KubeconfigError::Parse(_) => {
            "it is no kubeconfig in YAML (kubectl config view tells the place)".into()
        }
        KubeconfigError::MissingClusterUrl => "its cluster has no server".into(),
        KubeconfigError::ParseClusterUrl(_) => "the server of its cluster is no URL".into(),
        KubeconfigError::ParseProxyUrl(_) => "its proxy-url is no URL".into(),
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            "its certificate authority cannot be read".into()
        }
        KubeconfigError::LoadClientCertificate(_) => "its client certificate cannot be read".into(),
        KubeconfigError::LoadClientKey(_) => "its client key cannot be read".into(),
        KubeconfigError::FindPath => "there is none".into(),
    }
}

fn of_client(why: &kube::Error) -> Arc<str> {
    match why {
        kube::Error::Auth(why) => of_credentials(why).into(),
        _ => "the certificates, the key or the proxy of the kubeconfig cannot be used".into(),
    }
}

/// Why there are no credentials, without any word of a plugin: it may have printed them.
pub(crate) fn of_credentials(why: &AuthError) -> String {
    match why {
        AuthError::AuthExecStart(why) => {
            format!("the credential plugin of the kubeconfig cannot be run: {why}")
        }
        AuthError::AuthExecRun { out, .. } => {
            format!(
                "the credential plugin of the kubeconfig failed ({}): run it by hand to see why",
                out.status
            )
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            "the credential plugin of the kubeconfig wrote no ExecCredential with a status".into()
        }
        AuthError::MissingCommand => "the credential plugin of the kubeconfig has no command".into(),
        AuthError::ReadTokenFile(why, path) => {
            format!("the token in {} cannot be read: {why}", path.display())
        }
        _ => "the credentials of the kubeconfig cannot be used".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use std::ffi::OsString;

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
        contexts: [{name: here, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        users: [{name: u, user: {token: TOPSECRET}}]\n";

    fn list(paths: &[&std::path::Path]) -> OsString {
        std::env::join_paths(paths).unwrap()
    }

    #[test]
    fn of_the_files_that_are_named_those_that_are_there_count() {
        let folder = tempfile::tempdir().unwrap();
        let (good, missing) = (folder.path().join("good"), folder.path().join("missing"));
        std::fs::write(&good, GOOD).unwrap();
        let read = kubeconfig(Some(&list(&[&missing, &good])), None).unwrap().unwrap();
        assert_eq!(read.current_context.as_deref(), Some("here"));
        assert!(kubeconfig(Some(&list(&[&missing])), None).unwrap().is_none());
        assert!(kubeconfig(None, Some(folder.path().to_owned())).unwrap().is_none());
        assert!(kubeconfig(Some(&list(&[folder.path()])), None).is_err(), "a folder is no kubeconfig");
    }

    #[test]
    fn what_is_no_yaml_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken");
        std::fs::write(&path, format!("{GOOD}  - broken: [\ntoken: TOPSECRET\n")).unwrap();
        let why = kubeconfig(Some(&list(&[&path])), None).unwrap_err();
        assert!(why.contains("broken: it is no kubeconfig") && !why.contains("TOPSECRET"), "{why}");
    }

    #[tokio::test]
    async fn nothing_that_a_plugin_prints_is_repeated() {
        for (script, said) in [
            ("echo TOPSECRET; echo TOPSECRET >&2; exit 3", "failed (exit status: 3)"),
            ("echo TOPSECRET", "wrote no ExecCredential"),
        ] {
            let text = GOOD.replace(
                "{token: TOPSECRET}",
                &format!("{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, '{script}']}}}}"),
            );
            let read = Kubeconfig::from_yaml(&text).unwrap();
            let config =
                kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
            let Err(why) = connect(config) else { panic!("a plugin that fails is used") };
            let why = of_client(&why);
            assert!(why.contains(said) && !why.contains("TOPSECRET"), "{why}");
        }
    }
}

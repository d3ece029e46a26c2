//! The build environment of Argo CD (`$ARGOCD_APP_NAME` and others) in parameters, values files and file parameters of a
//! source. Source: argoproj/argo-cd `docs/user-guide/build-environment.md`, `pkg/apis/application/v1alpha1/types.go` (`Env.Envsubst`).

use super::{
    application::{Application, Source},
    helm,
};

/// Fills in variables as Go's `os.Expand` does: `$NAME`, `${NAME}`, `$$` for a dollar; one that is not set is empty.
pub(super) fn fill(text: &str, application: &Application, source: &Source) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = name(after);
        match name {
            Some("$") => filled.push('$'),
            Some(name) => filled.push_str(&value(name, application, source).unwrap_or_default()),
            // Not followed by a name: it stays. A broken `${` is eaten.
            None if length == 0 => filled.push('$'),
            None => {}
        }
        rest = &after[length..];
    }
    filled.push_str(rest);
    filled
}

/// The name after a dollar, and how much it takes with its braces.
fn name(text: &str) -> (Option<&str>, usize) {
    let special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    if let Some(inner) = text.strip_prefix('{') {
        return match inner.find('}') {
            Some(0) => (None, 2),
            Some(end) => (Some(&inner[..end]), end + 2),
            None => (None, 1),
        };
    }
    match text.chars().next() {
        Some(c) if special(c) => (Some(&text[..1]), 1),
        _ => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            ((end > 0).then(|| &text[..end]), end)
        }
    }
}

fn value(name: &str, application: &Application, source: &Source) -> Option<String> {
    // The work tree stands for whatever revision is asked for.
    let revision = if source.target_revision.is_empty() { "HEAD" } else { source.target_revision.as_str() };
    let short = |length: usize| revision.chars().take(length).collect();
    Some(match name {
        "ARGOCD_APP_NAME" => application.name().to_string(),
        "ARGOCD_APP_NAMESPACE" => application.destination.namespace.clone(),
        "ARGOCD_APP_PROJECT_NAME" => application.project.clone(),
        "ARGOCD_APP_REVISION" => revision.to_owned(),
        "ARGOCD_APP_REVISION_SHORT" => short(7),
        "ARGOCD_APP_REVISION_SHORT_8" => short(8),
        "ARGOCD_APP_SOURCE_PATH" => source.path.clone(),
        "ARGOCD_APP_SOURCE_REPO_URL" => source.repo_url.clone(),
        "ARGOCD_APP_SOURCE_TARGET_REVISION" => source.target_revision.clone(),
        "KUBE_VERSION" => source.helm.as_ref().map(|helm| helm.kube_version.clone()).unwrap_or_default(),
        "KUBE_API_VERSIONS" => helm::api_versions().collect::<Vec<_>>().join(","),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_model::{Object, Origin};
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_filled_in_as_go_does() {
        let json = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "team", "namespace": "argocd"},
            "spec": {"project": "p", "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"},
                "source": {"repoURL": "https://git.example.com/x.git", "path": "charts/team", "targetRevision": "main"}}});
        let application =
            super::super::application::parse(&Object::from_json(json, Origin::default()).unwrap()).unwrap();
        let source = application.sources[0].clone();
        for (text, filled) in [
            ("$ARGOCD_APP_NAME", "team"),
            ("a-${ARGOCD_APP_NAMESPACE}-b", "a-shop-b"),
            ("$ARGOCD_APP_NAME-$ARGOCD_APP_NAME.x", "team-team.x"),
            ("$ARGOCD_APP_NAMEX", ""),
            ("${ARGOCD_APP_PROJECT_NAME}/$ARGOCD_APP_SOURCE_PATH", "p/charts/team"),
            ("$ARGOCD_APP_REVISION $ARGOCD_APP_SOURCE_TARGET_REVISION", "main main"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("^/a$", "^/a$"),
            ("100$ ", "100$ "),
            ("$1", ""),
            ("${}x", "x"),
            ("${open", "open"),
            ("none", "none"),
        ] {
            assert_eq!(fill(text, &application, &source), filled, "{text}");
        }
    }
}

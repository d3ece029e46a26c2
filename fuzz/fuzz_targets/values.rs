//! Values of the charts that are stood in for: text or an edited tree, to settings.
#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use portolan_core::gitops::{
    adapters::{Adapted, Component, ComponentValues, Form, adapt},
    configuration::{Environment, configure},
    ledger::Fate,
};
use portolan_fuzz::{arbitrary::Unstructured, samples, target, tree};
use portolan_model::{ObjectKey, yaml};
use serde_json::Value;

const COMPONENTS: [&str; 7] =
    ["external-dns", "cert-manager", "gateway-helm", "sealed-secrets", "reflector", "kyverno", "other"];
const VERSIONS: [&str; 6] = ["", "1.15.0", "1.19.0", "v0.21.0", "8.x", "99999999999999999999.1"];

/// Values that say something to one adapter or another.
static SAMPLES: LazyLock<Vec<Value>> =
    LazyLock::new(|| samples::documents(include_str!("../samples/values.yaml")));

target!(|bytes| {
    let Some(([which, version, form], rest)) = bytes.split_first_chunk() else { return };
    let values = if form % 2 == 0 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        let Some(document) = yaml::load(text).0.into_iter().next() else { return };
        document.json
    } else {
        let mut bytes = Unstructured::new(rest);
        let sample = SAMPLES[usize::from(*form) / 2 % SAMPLES.len()].clone();
        tree::edited(sample, &mut bytes, &SAMPLES)
    };
    let forms = [Form::Chart, Form::Workload, Form::File];
    let component = COMPONENTS[usize::from(*which) % COMPONENTS.len()];
    let values = ComponentValues {
        form: forms[usize::from(*version) / VERSIONS.len() % forms.len()],
        component: component.into(),
        object: ObjectKey::new("argoproj.io", "Application", "argocd", component),
        application: component.into(),
        namespace: component.into(),
        version: VERSIONS[usize::from(*version) % VERSIONS.len()].into(),
        values,
    };
    let Adapted { component: made, problems, ledger } = adapt(&values);
    samples::check(&problems);
    assert_eq!(made.is_none(), component == "other");
    let Some(made) = made else { return };
    // A key of the values has one fate; a flag may be given twice.
    let mut fates = BTreeMap::new();
    for (fate, why, key) in ledger.iter().filter(|(.., key)| !key.contains(' ')) {
        let before = fates.insert(key, (*fate, why));
        assert!(before.is_none_or(|before| before == (*fate, why)), "{key}: {ledger:?}");
    }
    let refused = ledger.iter().any(|(fate, ..)| *fate == Fate::Refused);
    assert!(!refused || !problems.is_empty(), "what is refused is said: {ledger:?}");
    if let Component::ExternalDns(settings) = &made {
        // What stops it is said.
        assert_eq!(settings.stopped, problems.iter().any(|problem| problem.code.0 == 645));
    }
    let configuration = configure(&Environment {
        name: "dev",
        components: &[made.clone(), made],
        is_folder: false,
        cluster_resource_namespace: None,
    });
    samples::check(&configuration.problems);
    assert!(!configuration.dns.is_empty());
});

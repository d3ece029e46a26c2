//! Kinds of Flux. What of them is honoured how: `docs/reference/sync-options.md`.
//! Sources: kustomize-controller, helm-controller and source-controller of August 2026, `config/crd/bases`.

use super::{
    Effect::{Irrelevant, NotLookedAt, Refused, Used},
    Entry, Table,
};

const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const HELM: &str = "helm.toolkit.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";

const TIMES: &str = "when something is done, and how long it is waited for: here at once";
const HEALTH: &str = "what is waited for is taken to come";
const READY: &str = "the expression is not evaluated, and what is depended on is taken to be ready once it builds: in Flux this may wait for ever";
const ALONE: &str = "nobody but Portolan writes to its store, so nothing drifts";
const RIGHTS: &str = "whether an account may write is the cluster's matter, and asked for nobody here";
const ACTIONS: &str = "how Helm installs, upgrades and removes a release; here its objects are applied";
const CREDENTIALS: &str =
    "how a source is reached; the repository is here, and charts are fetched by `portolan charts lock`";
const SIGNATURES: &str = "what is not signed as it says is not applied there";
const WORK_TREE: &str = "the work tree stands for every revision of its repository";
const OTHER: &str = "what it brings goes to another cluster; it is shown as if it were this one's";
const STOPPED: &str =
    "the source stays as Flux fetched it last, so that the cluster may be behind the repository";
/// Versions that Flux no longer serves.
const GONE: &str = "of versions that Flux no longer serves";

const KUSTOMIZATION: Table = &[
    (
        Used,
        "spec.commonMetadata.labels spec.commonMetadata.annotations spec.components spec.decryption.provider \
         spec.decryption.secretRef.name spec.decryption.serviceAccountName spec.deletionPolicy spec.dependsOn.name \
         spec.dependsOn.namespace spec.ignoreMissingComponents spec.images.name spec.images.newName spec.images.newTag \
         spec.images.digest spec.namePrefix spec.nameSuffix spec.patches.patch spec.patches.target.group \
         spec.patches.target.version spec.patches.target.kind spec.patches.target.name spec.patches.target.namespace \
         spec.patches.target.labelSelector spec.patches.target.annotationSelector spec.patchesJson6902.patch \
         spec.patchesJson6902.target.group spec.patchesJson6902.target.version spec.patchesJson6902.target.kind \
         spec.patchesJson6902.target.name spec.patchesJson6902.target.namespace \
         spec.patchesJson6902.target.labelSelector spec.patchesJson6902.target.annotationSelector \
         spec.patchesStrategicMerge spec.path spec.postBuild.substitute spec.postBuild.substituteStrategy \
         spec.postBuild.substituteFrom.kind spec.postBuild.substituteFrom.name spec.postBuild.substituteFrom.optional \
         spec.prune spec.sourceRef.apiVersion spec.sourceRef.kind spec.sourceRef.name spec.sourceRef.namespace \
         spec.suspend spec.targetNamespace",
    ),
    (Irrelevant(TIMES), "spec.interval spec.retryInterval spec.timeout"),
    (Irrelevant(HEALTH), "spec.wait spec.healthChecks spec.healthCheckExprs"),
    (NotLookedAt(READY), "spec.dependsOn.readyExpr"),
    (Irrelevant(ALONE), "spec.force spec.ignore"),
    (Irrelevant("annotations about the build, which nobody reads"), "spec.buildMetadata"),
    (Irrelevant(RIGHTS), "spec.serviceAccountName"),
    (NotLookedAt(OTHER), "spec.kubeConfig"),
    (Irrelevant(GONE), "spec.validation"),
];

const RELEASE: Table = &[
    (
        Used,
        "spec.chart.spec.chart spec.chart.spec.ignoreMissingValuesFiles spec.chart.spec.sourceRef.apiVersion \
         spec.chart.spec.sourceRef.kind spec.chart.spec.sourceRef.name spec.chart.spec.sourceRef.namespace \
         spec.chart.spec.valuesFiles spec.chart.spec.version spec.chartRef.apiVersion spec.chartRef.kind \
         spec.chartRef.name spec.chartRef.namespace spec.commonMetadata.labels spec.commonMetadata.annotations \
         spec.dependsOn.name spec.dependsOn.namespace spec.install.crds spec.install.createNamespace \
         spec.install.disableHooks spec.install.disableSchemaValidation spec.postRenderers.kustomize.images.name \
         spec.postRenderers.kustomize.images.newName spec.postRenderers.kustomize.images.newTag \
         spec.postRenderers.kustomize.images.digest spec.postRenderers.kustomize.patches.patch \
         spec.postRenderers.kustomize.patches.target.group spec.postRenderers.kustomize.patches.target.version \
         spec.postRenderers.kustomize.patches.target.kind spec.postRenderers.kustomize.patches.target.name \
         spec.postRenderers.kustomize.patches.target.namespace \
         spec.postRenderers.kustomize.patches.target.labelSelector \
         spec.postRenderers.kustomize.patches.target.annotationSelector spec.releaseName spec.suspend \
         spec.targetNamespace spec.upgrade.disableHooks spec.values spec.valuesFrom.kind spec.valuesFrom.name \
         spec.valuesFrom.valuesKey spec.valuesFrom.targetPath spec.valuesFrom.optional spec.valuesFrom.literal",
    ),
    (
        Irrelevant(TIMES),
        "spec.interval spec.timeout spec.chart.spec.interval spec.chart.spec.reconcileStrategy",
    ),
    (Irrelevant(HEALTH), "spec.healthCheckExprs spec.waitStrategy"),
    (NotLookedAt(READY), "spec.dependsOn.readyExpr"),
    (Irrelevant(ALONE), "spec.driftDetection"),
    (
        Irrelevant(ACTIONS),
        "spec.install.disableOpenAPIValidation spec.install.disableTakeOwnership \
         spec.install.disableWait spec.install.disableWaitForJobs spec.install.remediation spec.install.replace \
         spec.install.serverSideApply spec.install.strategy spec.install.timeout spec.maxHistory spec.persistentClient \
         spec.rollback spec.storageNamespace spec.test spec.uninstall \
         spec.upgrade.chartNameChangeStrategy spec.upgrade.cleanupOnFail spec.upgrade.crds spec.upgrade.disableOpenAPIValidation spec.upgrade.disableSchemaValidation spec.upgrade.disableTakeOwnership spec.upgrade.disableWait \
         spec.upgrade.disableWaitForJobs spec.upgrade.force spec.upgrade.preserveValues spec.upgrade.remediation spec.upgrade.serverSideApply spec.upgrade.strategy spec.upgrade.timeout",
    ),
    (Irrelevant(GONE), "spec.install.skipCRDs spec.chart.spec.valuesFile"),
    (Irrelevant("marks of the HelmChart that Flux makes"), "spec.chart.metadata"),
    (
        NotLookedAt("it says what post-renderers are given: hooks, definitions or all"),
        "spec.postRenderStrategy",
    ),
    (NotLookedAt(SIGNATURES), "spec.chart.spec.verify"),
    (Irrelevant(RIGHTS), "spec.serviceAccountName"),
    (NotLookedAt(OTHER), "spec.kubeConfig"),
];

const GIT: Table = &[
    (
        Used,
        "spec.ignore spec.include.fromPath spec.include.repository.name spec.include.toPath spec.sparseCheckout spec.url",
    ),
    (Irrelevant(WORK_TREE), "spec.ref spec.recurseSubmodules spec.gitImplementation"),
    (Irrelevant(TIMES), "spec.interval spec.timeout"),
    (
        Irrelevant(CREDENTIALS),
        "spec.provider spec.proxySecretRef spec.secretRef spec.serviceAccountName spec.accessFrom",
    ),
    (NotLookedAt(STOPPED), "spec.suspend"),
    (NotLookedAt(SIGNATURES), "spec.verify"),
];

const CHARTS: Table = &[
    (Used, "spec.type spec.url"),
    (Irrelevant(TIMES), "spec.interval spec.timeout"),
    (
        Irrelevant(CREDENTIALS),
        "spec.accessFrom spec.certSecretRef spec.insecure spec.passCredentials spec.provider spec.secretRef",
    ),
    (Irrelevant("which version of a chart is locked says `portolan.lock`"), "spec.suspend"),
];

const OCI: Table = &[
    (Used, "spec.ref.tag spec.ref.semver spec.ref.digest spec.url"),
    (NotLookedAt("versions that are not chosen among"), "spec.ref.semverFilter"),
    (Irrelevant(TIMES), "spec.interval spec.timeout"),
    (
        Irrelevant(CREDENTIALS),
        "spec.certSecretRef spec.insecure spec.provider spec.proxySecretRef spec.secretRef spec.serviceAccountName",
    ),
    (Used, "spec.ignore"),
    (NotLookedAt("which layer of an artifact is taken"), "spec.layerSelector"),
    (NotLookedAt(SIGNATURES), "spec.verify"),
    (Irrelevant("which version of a chart is locked says `portolan.lock`"), "spec.suspend"),
];

const CHART: Table = &[
    (
        Used,
        "spec.chart spec.ignoreMissingValuesFiles spec.sourceRef.apiVersion spec.sourceRef.kind spec.sourceRef.name \
         spec.sourceRef.namespace spec.valuesFiles spec.version",
    ),
    (Irrelevant(TIMES), "spec.interval spec.reconcileStrategy"),
    (Irrelevant(GONE), "spec.valuesFile spec.accessFrom"),
    (NotLookedAt(SIGNATURES), "spec.verify"),
    (Irrelevant("which version of a chart is locked says `portolan.lock`"), "spec.suspend"),
];

/// Something else than the repository; what it would hold is a finding where it is asked for.
const ELSEWHERE: Table = &[(Refused("sources whose content is not here"), "spec")];

const ARTIFACT: Table =
    &[(Used, "spec.sourceRef.apiVersion spec.sourceRef.kind spec.sourceRef.name spec.sourceRef.namespace")];

pub(super) const KINDS: [Entry; 8] = [
    (KUSTOMIZE, "Kustomization", KUSTOMIZATION),
    (HELM, "HelmRelease", RELEASE),
    (SOURCE, "GitRepository", GIT),
    (SOURCE, "HelmRepository", CHARTS),
    (SOURCE, "OCIRepository", OCI),
    (SOURCE, "HelmChart", CHART),
    (SOURCE, "Bucket", ELSEWHERE),
    (SOURCE, "ExternalArtifact", ARTIFACT),
];

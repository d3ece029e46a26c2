//! Kinds of Argo CD. What of them is honoured how: `docs/reference/sync-options.md`.
//! Source: argo-cd 3.5 and 3.6 `pkg/apis/application/v1alpha1`.

use super::{
    Effect::{Irrelevant, NotLookedAt, Told, Used},
    Entry, Table,
};

const GROUP: &str = "argoproj.io";

const SHOWN: &str = "for people who look at Argo CD";
const WORK_TREE: &str = "the work tree stands for every revision of its repository";
const ALONE: &str = "nobody but Portolan writes to its store, so nothing drifts";

const APPLICATION: Table = &[
    (
        Used,
        "spec.destination.name spec.destination.namespace spec.destination.server spec.project spec.source.chart spec.source.path spec.source.ref spec.source.repoURL \
         spec.source.targetRevision spec.source.directory.disableExtensionFilter spec.source.directory.exclude spec.source.directory.include spec.source.directory.recurse",
    ),
    (
        Used,
        "spec.source.helm.apiVersions spec.source.helm.fileParameters.name spec.source.helm.fileParameters.path spec.source.helm.ignoreMissingValueFiles \
         spec.source.helm.kubeVersion spec.source.helm.namespace spec.source.helm.parameters.forceString spec.source.helm.parameters.name spec.source.helm.parameters.value spec.source.helm.releaseName \
         spec.source.helm.skipCrds spec.source.helm.skipSchemaValidation spec.source.helm.skipTests spec.source.helm.valueFiles \
         spec.source.helm.values spec.source.helm.valuesObject",
    ),
    (
        Used,
        "spec.source.kustomize.apiVersions spec.source.kustomize.commonAnnotations \
         spec.source.kustomize.commonAnnotationsEnvsubst spec.source.kustomize.commonLabels \
         spec.source.kustomize.components spec.source.kustomize.forceCommonAnnotations \
         spec.source.kustomize.forceCommonLabels spec.source.kustomize.ignoreMissingComponents \
         spec.source.kustomize.images spec.source.kustomize.kubeVersion spec.source.kustomize.labelIncludeTemplates \
         spec.source.kustomize.labelWithoutSelector spec.source.kustomize.namePrefix spec.source.kustomize.nameSuffix \
         spec.source.kustomize.namespace spec.source.kustomize.patches.options spec.source.kustomize.patches.patch \
         spec.source.kustomize.patches.path spec.source.kustomize.patches.target.annotationSelector \
         spec.source.kustomize.patches.target.group spec.source.kustomize.patches.target.kind \
         spec.source.kustomize.patches.target.labelSelector spec.source.kustomize.patches.target.name \
         spec.source.kustomize.patches.target.namespace spec.source.kustomize.patches.target.version \
         spec.source.kustomize.replicas.count spec.source.kustomize.replicas.name",
    ),
    (
        NotLookedAt("argocd-cm says which program that is, and the same Kustomize builds all here"),
        "spec.source.kustomize.version",
    ),
    (Irrelevant("Argo CD 3 has one version of Helm"), "spec.source.helm.version"),
    (
        Irrelevant("charts are fetched by `portolan charts lock`, with Helm's own credentials"),
        "spec.source.helm.passCredentials",
    ),
    (Irrelevant(WORK_TREE), "spec.source.tagPrefix"),
    (Irrelevant(SHOWN), "spec.source.name spec.info spec.revisionHistoryLimit"),
    (Told("sources of a kind that is not rendered"), "spec.source.directory.jsonnet spec.source.plugin"),
    (Used, "spec.sourceHydrator.drySource"),
    (
        Irrelevant("branches that the hydrator writes what it rendered to"),
        "spec.sourceHydrator.syncSource spec.sourceHydrator.hydrateTo",
    ),
    (
        Used,
        "spec.ignoreDifferences.group spec.ignoreDifferences.kind spec.ignoreDifferences.name spec.ignoreDifferences.namespace \
         spec.ignoreDifferences.jsonPointers",
    ),
    (Told("differences that are ignored there and not here"), "spec.ignoreDifferences.jqPathExpressions"),
    (Irrelevant(ALONE), "spec.ignoreDifferences.managedFieldsManagers spec.syncPolicy.automated.selfHeal"),
    (
        Used,
        "spec.syncPolicy.automated.prune spec.syncPolicy.automated.allowEmpty spec.syncPolicy.automated.enabled \
         spec.syncPolicy.managedNamespaceMetadata.annotations spec.syncPolicy.managedNamespaceMetadata.labels spec.syncPolicy.syncOptions",
    ),
    (Irrelevant("what was refused is tried again by itself"), "spec.syncPolicy.retry"),
    (NotLookedAt("Argo CD does it once, beside what the Application says"), "operation"),
];

const SET: Table = &[
    (
        Used,
        "spec.goTemplate spec.goTemplateOptions spec.templatePatch spec.template.metadata spec.generators.selector.matchLabels spec.generators.selector.matchExpressions.key spec.generators.selector.matchExpressions.operator spec.generators.selector.matchExpressions.values \
         spec.syncPolicy.applicationsSync spec.syncPolicy.preserveResourcesOnDeletion",
    ),
    (
        Used,
        "spec.generators.list.elements spec.generators.list.elementsYaml spec.generators.clusters.flatList \
         spec.generators.clusters.selector.matchLabels spec.generators.clusters.selector.matchExpressions.key spec.generators.clusters.selector.matchExpressions.operator spec.generators.clusters.selector.matchExpressions.values spec.generators.clusters.values spec.generators.git.directories.exclude spec.generators.git.directories.path \
         spec.generators.git.files.exclude spec.generators.git.files.path spec.generators.git.pathParamPrefix spec.generators.git.repoURL spec.generators.git.values \
         spec.generators.merge.mergeKeys",
    ),
    (
        Used,
        "spec.generators.list.template.metadata spec.generators.clusters.template.metadata \
         spec.generators.git.template.metadata spec.generators.matrix.template.metadata spec.generators.merge.template.metadata",
    ),
    (Irrelevant(WORK_TREE), "spec.generators.git.revision"),
    (Irrelevant("what changes is read at once"), "spec.generators.git.requeueAfterSeconds"),
    (Irrelevant("Argo CD applies them always, since 2.x"), "spec.applyNestedSelectors"),
    (
        Told("generators that ask somebody else"),
        "spec.generators.clusterDecisionResource spec.generators.oci spec.generators.plugin spec.generators.pullRequest \
         spec.generators.scmProvider",
    ),
    (Irrelevant(ALONE), "spec.ignoreApplicationDifferences spec.preservedFields"),
    (Used, "spec.strategy.type spec.strategy.rollingSync"),
    (Irrelevant("in which order Applications of a set that goes are deleted"), "spec.strategy.deletionOrder"),
];

const PROJECT: Table = &[
    (
        Used,
        "spec.clusterResourceBlacklist spec.clusterResourceWhitelist spec.destinations spec.namespaceResourceBlacklist \
         spec.namespaceResourceWhitelist spec.sourceNamespaces spec.sourceRepos",
    ),
    (Told("clusters that only Argo CD knows"), "spec.permitOnlyProjectScopedClusters"),
    (
        Told("fields of projects that hold back what is synced"),
        "spec.destinationServiceAccounts spec.signatureKeys spec.sourceIntegrity spec.syncWindows",
    ),
    (
        Irrelevant("who may click, and warnings about objects that nobody applied"),
        "spec.roles spec.orphanedResources",
    ),
    (Irrelevant("prose"), "spec.description"),
];

pub(super) const KINDS: [Entry; 3] =
    [(GROUP, "Application", APPLICATION), (GROUP, "ApplicationSet", SET), (GROUP, "AppProject", PROJECT)];

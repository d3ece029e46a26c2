//! Every problem of rendering: code, severity, message, hint (codes 600 to 639 and 671 to 683, and 7 of a file that is no object).

use portolan_model::{Code, ObjectKey, Problem, Severity};

/// A file of the work tree as the object of a problem; the same form as for plain folders.
pub fn file(path: &str) -> ObjectKey {
    ObjectKey::new("", "File", "", path)
}

/// What problems of a source are filed on: its Application, or the file of a root that is none.
pub(super) fn subject(key: &ObjectKey) -> ObjectKey {
    let name = if key.name.name.is_empty() { "." } else { key.name.name.as_str() };
    if super::application::is_kind(key) { key.clone() } else { file(name) }
}

/// A problem from its parts.
pub(super) fn problem(
    object: ObjectKey,
    field: &str,
    code: u16,
    severity: Severity,
    message: String,
    hint: &str,
) -> Problem {
    Problem { object, code: Code(code), field: field.into(), severity, message, hint: hint.to_owned() }
}

/// Whether it is about how a rendering has gone.
pub(super) fn is_of_rendering(problem: &Problem) -> bool {
    matches!(problem.code.0, 605 | 606 | 615 | 616 | 627)
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $hint:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(object: &ObjectKey, field: &str, message: String) -> Problem {
            problem(object.clone(), field, $code, Severity::$severity, message, $hint)
        }
    )*};
}

problems! {
    /// The root or the environment does not exist.
    root_missing = 600, Error,
        "name the root with --root PATH (an Application, a chart or a folder inside DIR), or correct --env";
    /// A path or link leaves the repository.
    outside = 601, Error, "keep paths and symbolic links inside the repository";
    /// An Application lacks a field or has the wrong type in one.
    application_invalid = 602, Error, "correct the Application; its objects stay as they were until then";
    /// A field that nobody knows, in a file that says how a source is rendered.
    field_unknown = 7, Warning, "correct its name, or remove it";
    /// The path of a source does not exist in the work tree.
    path_missing = 603, Error, "correct source.path, or add the folder to the repository";
    /// The same of a Kustomization of Flux.
    flux_path_missing = 603, Error, "correct spec.path (it begins at the top of the source), or add the folder to the repository";
    /// The same of a HelmRelease.
    flux_chart_missing = 603, Error,
        "correct spec.chart.spec.chart (it begins at the top of the source), or add the folder to the repository";
    /// A values file is not there.
    values_missing = 604, Error,
        "add the file, correct helm.valueFiles, or set helm.ignoreMissingValueFiles: true";
    /// The same of a HelmRelease.
    flux_values_missing = 604, Error,
        "add the file, correct spec.chart.spec.valuesFiles (paths are from the root of the source), or set ignoreMissingValuesFiles: true";
    /// The file of a parameter is not there.
    parameter_missing = 604, Error,
        "add the file, or correct the path of the entry of helm.fileParameters; ignoreMissingValueFiles says nothing of these";
    /// A values file is no file of the repository.
    values_remote = 604, Error,
        "name a file of the repository in helm.valueFiles; ignoreMissingValueFiles says nothing of URLs";
    /// A values file that is not there, and that may be missing.
    values_passed_over = 682, Info, "nothing to do if it is not there on purpose";
    /// Helm refused the chart.
    helm_failed = 605, Error, "correct the chart or the values of this environment; `helm template` shows the same";
    /// Helm is not there or cannot be run.
    helm_unusable = 606, Error, "install Helm 3.18 or newer and put it in PATH, or name it with --helm PROGRAM";
    /// A chart takes more time, memory or text than it may.
    helm_over = 606, Error, "make the chart or its values smaller: each run of Helm is bounded, as what it renders may be anybody's";
    /// Kustomize refused the kustomization.
    kustomize_failed = 615, Error,
        "correct the kustomization; `kustomize build` shows the same. What stood there before stays until then";
    /// A chart or a kustomization that is not rendered yet.
    rendering = 627, Warning,
        "wait: it has 30 seconds. What it brought stays until then, and nothing else waits for it";
    /// Kustomize is not there or cannot be run.
    kustomize_unusable = 616, Error,
        "install Kustomize 5 and put it in PATH, or name it with --kustomize PROGRAM";
    /// A kustomization takes more time, memory or text than it may.
    kustomize_over = 616, Error,
        "make the kustomization smaller: each run of Kustomize is bounded, as what it builds may be anybody's";
    /// Variants of one base in a plain folder.
    overlay_unknown = 617, Warning, "name the one that is meant with --root PATH, or the environment that it is for with --env";
    /// Charts in a plain folder.
    charts_unread = 618, Warning, "name one with --root PATH, or the Application that renders it; until then nothing of it is known";
    /// A source in another repository.
    remote_source = 607, Warning,
        "sources of other repositories are not fetched: vendor it into this one, or leave it to the cluster";
    /// The lock of charts cannot be read.
    lock_invalid = 635, Error, "correct the file, or remove it and run `portolan charts lock` in this folder";
    /// A chart of another place that is not locked, or whose content is not here.
    not_locked = 636, Warning, "run: portolan charts lock DIR; nothing is fetched while rendering. Or vendor the chart into the repository";
    /// A chart whose content is not what the lock says.
    chart_damaged = 637, Error, "run: portolan charts lock DIR; what the chart brought before stays until then";
    /// `charts lock` did not get a chart.
    not_fetched = 638, Error, "correct the repository, the chart or the version; credentials are those of Helm (--registry-config, --repository-config)";
    /// A chart is locked that nothing was compared with.
    not_compared = 650, Warning, "the lock holds every later run to this content; compare its digest by hand with what the publisher says, or ask for digests in the index";
    /// `charts lock` got another content for a version that is locked.
    moved = 639, Error, "ask who publishes it why; to take what is there now: portolan charts lock --update";
    /// A kind of source that is not rendered.
    source_unsupported = 608, Warning, "use a chart or a folder of plain YAML for what Portolan shall act on";
    /// A dependency that is neither replaced nor vendored.
    dependency_left_out = 609, Warning,
        "run: portolan charts lock DIR, or vendor it with `helm dependency build`, if its objects matter here; values under its name have no effect";
    /// A rendered document is no object.
    not_an_object = 610, Error, "complete the object in the template";
    /// Two sources bring the same object.
    brought_twice = 611, Warning, "let one Application own the object";
    /// Applications bring each other, or too deep a chain.
    cycle = 612, Error, "let one Application bring it";
    /// A hook or a Job.
    not_applied = 620, Info, "hooks and Jobs are listed, not run, on one machine";
    /// A hook of a type that there is not.
    hook_misspelt = 623, Warning,
        "correct the type, such as PreSync or post-install; without the annotation the object is applied";
    /// An ApplicationSet that Argo CD would refuse.
    set_invalid = 619, Error, "correct the ApplicationSet; what its Applications brought stays until then";
    /// A generator that asks what is not known here.
    generator_not_evaluated = 624, Warning,
        "write its parameters into a list generator, or render with what it would give, for what Portolan shall act on";
    /// An ApplicationSet with two Applications of one name.
    set_repeats = 625, Error, "make metadata.name of the template differ by the parameters";
    /// Which Applications, of an ApplicationSet or beside each other, are for this environment.
    cluster_unknown = 626, Error,
        "name the environment with --env as Argo CD names its cluster (destination.name), or as a parameter of the generator does";
    /// An entry of an ApplicationSet's generators that is none.
    generator_empty = 683, Warning, "give the entry a list, clusters, git, matrix or merge generator, or take it out";
    /// A Kustomization or HelmRelease whose dependencies are never ready.
    never_applied = 634, Error, "correct spec.dependsOn; what it brought stays until then";
    /// One that depends on what does not build.
    not_applied_yet = 634, Error,
        "correct what it depends on, which has a finding of its own; what it brought stays until then";
    /// A Kustomization or HelmRelease that is suspended, or an Application that says skip-reconcile.
    suspended = 628, Warning, "take that away for it to be read; until then what it would bring is not known";
    /// A source, ConfigMap or Secret that Flux's object names and nothing brings.
    reference_missing = 629, Error, "correct the reference, or add the object to the repository; what was brought stays until then";
    /// Objects that Flux decrypts.
    encrypted = 630, Warning, "what needs them is not known here; give them with `portolan seal`, or leave them to the cluster";
    /// Encrypted objects that nothing decrypts.
    not_decrypted = 631, Error, "set spec.decryption.provider: sops with the Secret that holds the key";
    /// Variables from a Secret that is made elsewhere.
    variables_unknown = 632, Warning, "put the variables that decide hosts and references into a ConfigMap or spec.postBuild.substitute";
    /// Values from a Secret that is made elsewhere.
    values_unknown = 633, Warning, "put the values that decide hosts and references into spec.values or a ConfigMap";
    /// What Flux is told to leave alone.
    not_reconciled = 673, Info, "nothing to do; take the annotation away for it to be applied";
    /// An Application that its project does not permit.
    forbidden = 674, Error, "correct the Application or its AppProject; nothing of it is applied until then, and what it applied before stays";
    /// An object that the project of its Application does not permit.
    not_permitted = 675, Error, "permit it in the AppProject, or take the object out: Argo CD syncs nothing of the Application until then, nor does Portolan";
    /// Differences that an Application ignores and that are not looked at.
    differences_unread = 679, Info, "nothing to do for a first sync; name the fields by jsonPointers for their live values to stay";
    /// An object without a namespace, brought by what names none.
    without_namespace = 680, Error, "write metadata.namespace, or the namespace of all such objects: spec.targetNamespace of a Kustomization, spec.destination.namespace of an Application";
    /// An Application that shares an object and refuses to.
    shares = 678, Error, "take the object out of one of the two Applications: Argo CD fails the sync of the one that says FailOnSharedResource";
    /// A project, or a part of its answer, that the repository does not hold.
    project_unknown = 676, Warning, "bring the AppProject in this repository for its Applications to be judged; they are applied as if it permitted them";
    /// Fields of a project that narrow and are not looked at.
    project_unread = 677, Warning, "nothing to do if they hold nothing back now: what they forbid at a time, without a signature or to an account is applied here";
    /// An Application that brings itself with another source.
    brings_another = 672, Error, "give the child another name, or the root the source that it is to have";
    /// Values that somebody else puts in.
    made_elsewhere = 671, Warning, "nothing to do if they are made in the cluster; `portolan seal` makes a Secret that can be opened here";
    /// What begins an environment stands below the folder that was named.
    lies_below = 681, Warning, "name that folder in place of this one: portolan render FOLDER --env NAME";
    /// Applications in a plain folder.
    not_followed = 621, Info, "name the Application with --root to follow it";
    /// A folder of Flux beside a root of Argo CD.
    not_read_beside = 621, Warning,
        "remove the one that is not in use, or look at each by itself with --root PATH; if both work on one cluster, let one bring the other";
}

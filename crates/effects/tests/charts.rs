//! Charts of other places: fetched by the real Helm from a chart repository and a registry of OCI on loopback, and rendered
//! from what was kept.
#![allow(clippy::unwrap_used, clippy::format_collect, missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use portolan_effects::{
    charts::{
        FILE, LockFile, Store,
        fetch::{Fetcher, MOST_BYTES},
        lock::{self, Ask, Report, State},
        system,
    },
    render::{Rendered, Tools, environments, render},
};
use portolan_testkit::{self as testkit, Answer, Site};

/// user:hush
const USER: &str = "Basic dXNlcjpodXNo";

struct World {
    dir: tempfile::TempDir,
    helm: PathBuf,
    tools: Tools,
    store: Store,
}

impl World {
    fn new() -> Option<Self> {
        let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
            testkit::skip("effects/charts", "helm or kustomize was not found; run scripts/setup demo");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("repo")).unwrap();
        let store = Store::new(dir.path().join("kept"));
        let tools =
            Tools::new(Some(helm.clone()), dir.path().join("cache")).kustomize(Ok::<_, String>(kustomize));
        let tools = tools.through(env!("CARGO_BIN_EXE_portolan-confined")).charts(store.clone());
        Some(Self { dir, helm, tools, store })
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn write(&self, files: &[(&str, &str)]) {
        write(&self.repo(), files);
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher {
            helm: self.helm.clone(),
            through: env!("CARGO_BIN_EXE_portolan-confined").into(),
            registry_config: None,
            repository_config: None,
            timeout: Duration::from_secs(30),
            loopback: true,
            resolve: system,
            most: MOST_BYTES,
        }
    }

    fn lock_by(&self, fetcher: &Fetcher, update: bool) -> Report {
        let dir = self.repo();
        let envs = environments(&dir);
        let root = dir.join("root.yaml").is_file().then_some("root.yaml");
        let (tools, store) = (&self.tools, &self.store);
        let ask = Ask { dir: &dir, envs: &envs, all: true, root, tools, fetcher, store, update };
        lock::run(&ask, &mut |_, _| {}).unwrap()
    }

    fn lock(&self) -> Report {
        self.lock_by(&self.fetcher(), false)
    }

    fn render(&self) -> Rendered {
        let dir = self.repo();
        let root = dir.join("root.yaml").is_file().then_some("root.yaml");
        render(&dir, &environments(&dir)[0], root, &self.tools)
    }

    /// Packs a chart whose one ConfigMap says `says` and what its values say; with further files.
    fn pack(&self, name: &str, version: &str, says: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap();
        let chart = folder.path().join(name);
        let (manifest, template) = (
            format!("apiVersion: v2\nname: {name}\nversion: {version}\n"),
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: '{{{{ .Release.Name }}}}-{name}'}}\ndata: {{says: {says}, who: '{{{{ .Values.who }}}}'}}\n"
            ),
        );
        write(
            &chart,
            &[("Chart.yaml", &manifest), ("templates/a.yaml", &template), ("values.yaml", "who: chart\n")],
        );
        write(&chart, more);
        self.helm(&["package", chart.to_str().unwrap(), "--destination", folder.path().to_str().unwrap()]);
        fs::read(folder.path().join(format!("{name}-{version}.tgz"))).unwrap()
    }

    fn helm(&self, args: &[&str]) {
        let done = Command::new(&self.helm).args(args).env("HOME", self.dir.path()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Serves charts with the index that Helm makes.
    fn serve(&self, site: &Site, charts: &[(&str, Vec<u8>)]) {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap();
        for (name, content) in charts {
            fs::write(folder.path().join(name), content).unwrap();
            site.put(&format!("/{name}"), Answer::Content(content.clone()));
        }
        self.helm(&["repo", "index", folder.path().to_str().unwrap()]);
        site.put("/index.yaml", Answer::Content(fs::read(folder.path().join("index.yaml")).unwrap()));
    }
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A registry in memory.
struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    fn start() -> Option<Self> {
        let Some(program) = testkit::program("registry") else {
            testkit::skip("effects/charts", "no registry was found; run scripts/setup test");
            return None;
        };
        let mut child = Command::new(program).args(["-port", "0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("serving on port")).unwrap();
        // What it says later is read, so that it never waits.
        std::thread::spawn(move || lines.for_each(drop));
        let port = line.rsplit(' ').next().unwrap().parse().unwrap();
        Some(Self { child, port })
    }

    fn push(&self, world: &World, name: &str, content: &[u8]) {
        let file = world.dir.path().join(name);
        fs::write(&file, content).unwrap();
        world.helm(&[
            "push",
            file.to_str().unwrap(),
            &format!("oci://127.0.0.1:{}/charts", self.port),
            "--plain-http",
        ]);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An archive with one text of `Chart.yaml` replaced, as somebody packs it who does not ask Helm.
fn repacked(archive: &[u8], from: &str, to: &str) -> Vec<u8> {
    use std::io::Read as _;
    let mut old = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut new = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if path.ends_with("Chart.yaml") {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        new.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    new.into_inner().unwrap().finish().unwrap()
}

fn application(name: &str, sources: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\n\
         spec: {{project: default, destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}, {sources}}}\n---\n"
    )
}

fn findings(rendered: &Rendered) -> Vec<(u16, String)> {
    rendered.problems.iter().map(|p| (p.code.0, format!("{}: {}", p.object, p.message))).collect()
}

/// What each ConfigMap says.
fn said(rendered: &Rendered) -> BTreeMap<String, String> {
    let maps = rendered.objects.iter().filter(|object| object.key.kind.is("", "ConfigMap"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    maps.map(|map| {
        let data = &map.json["data"];
        (map.key.name.to_string(), format!("{} {}", text(&data["says"]), text(&data["who"])))
    })
    .collect()
}

fn states(report: &Report) -> Vec<(String, State)> {
    report.charts.iter().map(|entry| (entry.reference.chart.clone(), entry.state)).collect()
}

fn told(report: &Report) -> String {
    report.problems.iter().map(|p| format!("{} {}: {}\n", p.code.0, p.object, p.message)).collect()
}

fn pairs<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, String> {
    all.into_iter().map(|(name, said)| (name.to_owned(), said.to_owned())).collect()
}

#[test]
fn what_argo_cd_names_is_locked_and_rendered_without_the_network() {
    let (Some(world), Some(registry)) = (World::new(), Registry::start()) else { return };
    let site = Site::start().unwrap();
    let web = world.pack("web", "1.2.3", "first", &[("values-prod.yaml", "who: prod\n")]);
    let newer = world.pack("web", "2.0.0", "second", &[]);
    world.serve(&site, &[("web-1.2.3.tgz", web), ("web-2.0.0.tgz", newer)]);
    registry.push(&world, "db-0.4.0.tgz", &world.pack("db", "0.4.0", "db", &[]));
    // A chart that brings an Application that names another chart.
    let more = application(
        "late",
        &format!(
            "source: {{repoURL: '127.0.0.1:{}/charts', chart: late, targetRevision: 0.1.0}}",
            registry.port
        ),
    );
    let apps = world.pack("apps", "1.0.0", "apps", &[("templates/late.yaml", &more)]);
    registry.push(&world, "apps-1.0.0.tgz", &apps);
    registry.push(&world, "late-0.1.0.tgz", &world.pack("late", "0.1.0", "late", &[]));
    let http = format!("http://127.0.0.1:{}", site.port());
    let oci = format!("oci://127.0.0.1:{}/charts", registry.port);
    let repo = "repoURL: 'https://git.example.com/p/p'";
    let all = [
        application("root", &format!("source: {{{repo}, path: here}}")),
        application(
            "range",
            &format!(
                "source: {{repoURL: '{http}/', chart: web, targetRevision: 1.x, helm: {{valueFiles: [values-prod.yaml]}}}}"
            ),
        ),
        application("newest", &format!("source: {{repoURL: '{http}', chart: web, targetRevision: '*'}}")),
        application(
            "several",
            &format!(
                "sources: [{{repoURL: '{oci}', chart: db, targetRevision: 0.4.0, helm: {{valueFiles: [$own/values/db.yaml]}}}}, \
                 {{{repo}, ref: own}}]"
            ),
        ),
        application("artifact", &format!("source: {{repoURL: '{oci}/db', path: ., targetRevision: 0.4.0}}")),
        application("apps", &format!("source: {{repoURL: '{oci}', chart: apps, targetRevision: 1.0.0}}")),
    ];
    world.write(&[
        ("root.yaml", &all.concat()),
        ("here/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"),
        ("values/db.yaml", "who: repository\n"),
    ]);

    // Before: one finding each, which names the command, and what they bring is not pruned.
    let before = world.render();
    let unlocked: Vec<_> = before.problems.iter().filter(|problem| problem.code.0 == 636).collect();
    assert_eq!(unlocked.len(), 5, "{:?}", findings(&before));
    assert!(unlocked.iter().all(|problem| problem.hint.contains("portolan charts lock")));
    assert!(before.whole.unsure.contains("range") && !before.whole.unsure.contains("root"));

    let report = world.lock();
    assert!(report.problems.is_empty(), "{}", told(&report));
    assert_eq!(
        report.charts.iter().map(|entry| entry.locked.as_ref().unwrap().version.as_str()).collect::<Vec<_>>(),
        ["2.0.0", "1.2.3", "1.0.0", "0.4.0", "0.1.0"]
    );
    let lock = fs::read_to_string(world.repo().join(FILE)).unwrap();
    let (asked, pulled) = (site.asked().len(), registry.port);
    drop((site, registry));
    assert!(asked > 0 && std::net::TcpStream::connect(("127.0.0.1", pulled)).is_err());

    let after = world.render();
    let wrong: Vec<_> = findings(&after).into_iter().filter(|(code, _)| (600..640).contains(code)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        said(&after),
        pairs([
            ("shop/plain", " "),
            ("shop/range-web", "first prod"),
            ("shop/newest-web", "second chart"),
            ("shop/several-db", "db repository"),
            ("shop/artifact-db", "db chart"),
            ("shop/apps-apps", "apps chart"),
            ("shop/late-late", "late chart"),
        ])
    );
    let origin = after.objects.iter().find(|object| &*object.key.name.name == "range-web").unwrap();
    assert_eq!(origin.origin.source.as_ref().unwrap().file, "web-1.2.3.tgz/templates/a.yaml");
    assert!(
        !after.whole.substitutions.iter().any(|said| said.contains("127.0.0.1")),
        "{:?}",
        after.whole.substitutions
    );

    // Without their content: one finding each again.
    fs::remove_dir_all(world.store.folder()).unwrap();
    let missing = world.render();
    let missing: Vec<_> = findings(&missing).into_iter().filter(|(code, _)| *code == 636).collect();
    assert!(
        missing.len() == 5 && missing.iter().all(|(_, text)| text.contains("content is not here")),
        "{missing:?}"
    );
    assert_eq!(fs::read_to_string(world.repo().join(FILE)).unwrap(), lock);
}

#[test]
fn what_flux_kustomize_and_charts_name_is_locked_too() {
    let (Some(world), Some(registry)) = (World::new(), Registry::start()) else { return };
    let site = Site::start().unwrap();
    let web = world.pack("web", "1.2.3", "web", &[("values-prod.yaml", "who: prod\n")]);
    world.serve(&site, &[("web-1.2.3.tgz", web.clone())]);
    let nested = [
        ("charts/cert-manager/Chart.yaml", "apiVersion: v2\nname: cert-manager\nversion: 1.0.0\n"),
        (
            "charts/cert-manager/templates/x.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-cert-manager}\n",
        ),
        (
            "Chart.yaml",
            "apiVersion: v2\nname: db\nversion: 0.4.0\ndependencies: [{name: cert-manager, version: 1.0.0}]\n",
        ),
    ];
    registry.push(&world, "db-0.4.0.tgz", &world.pack("db", "0.4.0", "db", &nested));
    let http = format!("http://127.0.0.1:{}", site.port());
    let oci = format!("oci://127.0.0.1:{}/charts", registry.port);
    let source = |kind: &str, version: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/{version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{interval: 1h, {spec}}}\n---\n"
        )
    };
    let release = |name: &str, spec: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{interval: 1h, {spec}}}\n---\n"
        )
    };
    let chart = |of: &str, name: &str, more: &str| {
        format!(
            "chart: {{spec: {{chart: {name}, version: '>=0.1.0', sourceRef: {{kind: HelmRepository, name: {of}}}, {more}}}}}"
        )
    };
    let all = [
        source("HelmRepository", "v1", "http", &format!("url: '{http}'")),
        source("HelmRepository", "v1", "oci", &format!("type: oci, url: '{oci}'")),
        source("OCIRepository", "v1", "artifact", &format!("url: '{oci}/db', ref: {{tag: 0.4.0}}")),
        release("a", &chart("http", "web", "valuesFiles: [values.yaml, values-prod.yaml]")),
        release("b", &format!("values: {{who: release}}, {}", chart("oci", "db", ""))),
        release(
            "c",
            "chartRef: {kind: OCIRepository, name: artifact}, postRenderers: [{kustomize: {patches: [{patch: \
             '[{\"op\": \"replace\", \"path\": \"/data/who\", \"value\": \"patched\"}]', target: {kind: ConfigMap}}]}}]",
        ),
    ];
    world.write(&[
        ("clusters/dev/all.yaml", &all.concat()),
        (
            "clusters/dev/apps.yaml",
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: overlay, namespace: flux-system}\n\
             spec: {interval: 1h, path: ./overlay, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n",
        ),
        ("overlay/kustomization.yaml", "resources: [own.yaml]\n"),
        ("overlay/own.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own, namespace: shop}\n"),
    ]);
    let report = world.lock();
    assert!(report.problems.is_empty(), "{}", told(&report));
    assert_eq!(report.charts.len(), 3, "{:?}", states(&report));
    let flux = world.render();
    assert_eq!(
        said(&flux),
        pairs([
            ("shop/a-web", "web prod"),
            ("shop/b-db", "db release"),
            ("shop/c-db", "db patched"),
            ("shop/own", " ")
        ]),
        "{:?}",
        findings(&flux)
    );

    // Kustomize's own charts, and dependencies of a chart, by its Chart.lock where it has one.
    let lock = fs::read_to_string(world.repo().join(FILE)).unwrap();
    fs::remove_dir_all(world.repo()).unwrap();
    world.write(&[(FILE, &lock)]);
    let dependencies = format!(
        "dependencies: [{{name: web, repository: '{http}', version: 1.x}}, {{name: db, repository: '{oci}', version: '*', alias: base, condition: base.on}}]"
    );
    // As `helm dependency update` writes it, with the hash of both lists as Go's JSON.
    let lock_of = |http: &str, oci: &str| {
        let wanted = format!(
            r#"[{{"name":"web","version":"1.x","repository":"{http}"}},{{"name":"db","version":"*","repository":"{oci}","condition":"base.on","alias":"base"}}]"#
        );
        let taken = format!(
            r#"[{{"name":"web","version":"1.2.3","repository":"{http}"}},{{"name":"db","version":"0.4.0","repository":"{oci}"}}]"#
        );
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("[{wanted},{taken}]").as_bytes());
        let digest = digest.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("dependencies: {taken}\ndigest: sha256:{digest}\n")
    };
    let repo = "repoURL: 'https://git.example.com/p/p'";
    world.write(&[
        ("root.yaml", &[
            application("overlay", &format!("source: {{{repo}, path: overlay}}")),
            application("chart", &format!("source: {{{repo}, path: chart}}")),
        ].concat()),
        ("overlay/kustomization.yaml", &format!(
            "helmCharts: [{{name: web, repo: '{http}', version: 1.2.3, releaseName: k, valuesInline: {{who: inline}}}}]\n"
        )),
        ("chart/Chart.yaml", &format!("apiVersion: v2\nname: chart\nversion: 0.0.0\n{dependencies}\n")),
        ("chart/Chart.lock", &lock_of(&http, &oci)),
        ("chart/values.yaml", "web: {who: parent}\nbase: {who: alias}\n"),
    ]);
    let unlocked = findings(&world.render());
    // What Chart.lock says of the other one is locked already, as Flux named the same.
    assert_eq!(unlocked.iter().filter(|(code, _)| *code == 609).count(), 1, "{unlocked:?}");
    assert_eq!(unlocked.iter().filter(|(code, _)| *code == 636).count(), 1, "{unlocked:?}");
    let report = world.lock();
    assert!(report.problems.is_empty(), "{}", told(&report));
    // One of the overlay and of Chart.lock alike; what Flux named has left the lock.
    let gone = states(&report).iter().filter(|(_, state)| *state == State::Gone).count();
    assert_eq!((report.charts.len() - gone, gone), (2, 3), "{:?}", states(&report));
    let kustomize = world.render();
    let maps = said(&kustomize);
    assert_eq!(maps["shop/k-web"], "web inline");
    assert_eq!(maps["shop/chart-web"], "web parent");
    assert_eq!(maps["shop/chart-db"], "db alias", "{maps:?}");
    assert!(
        !maps.keys().any(|name| name.contains("of-cert-manager")),
        "what Portolan stands in for is left out: {maps:?}"
    );
}

/// One Application whose chart `web` stands on a site, in this version.
fn one(world: &World, url: &str, version: &str) {
    world.write(&[(
        "root.yaml",
        &application(
            "web",
            &format!("source: {{repoURL: '{url}', chart: web, targetRevision: '{version}'}}"),
        ),
    )]);
}

#[test]
fn another_content_under_a_version_that_is_locked_is_told_and_not_taken() {
    let (Some(world), Some(registry)) = (World::new(), Registry::start()) else { return };
    let site = Site::start().unwrap();
    world.serve(&site, &[("web-1.2.3.tgz", world.pack("web", "1.2.3", "first", &[]))]);
    registry.push(&world, "db-0.4.0.tgz", &world.pack("db", "0.4.0", "first", &[]));
    let http = format!("http://127.0.0.1:{}", site.port());
    let oci = format!("oci://127.0.0.1:{}/charts", registry.port);
    world.write(&[(
        "root.yaml",
        &[
            application("web", &format!("source: {{repoURL: '{http}', chart: web, targetRevision: ^1}}")),
            application("db", &format!("source: {{repoURL: '{oci}', chart: db, targetRevision: 0.4.0}}")),
        ]
        .concat(),
    )]);
    assert_eq!(states(&world.lock()), [("web".into(), State::New), ("db".into(), State::New)]);
    let lock = fs::read_to_string(world.repo().join(FILE)).unwrap();
    assert_eq!(states(&world.lock()), [("web".into(), State::Same), ("db".into(), State::Same)]);
    assert_eq!(fs::read_to_string(world.repo().join(FILE)).unwrap(), lock, "the same text");

    // A newer version is not taken for a range that is locked.
    let (second, newer) =
        (world.pack("web", "1.2.3", "second", &[]), world.pack("web", "1.3.0", "newer", &[]));
    world.serve(&site, &[("web-1.2.3.tgz", second), ("web-1.3.0.tgz", newer)]);
    registry.push(&world, "db-0.4.0.tgz", &world.pack("db", "0.4.0", "second", &[]));
    let report = world.lock();
    assert_eq!(states(&report), [("web".into(), State::Moved), ("db".into(), State::Moved)]);
    assert_eq!(
        report.problems.iter().filter(|problem| problem.code.0 == 639).count(),
        2,
        "{}",
        told(&report)
    );
    assert!(told(&report).contains("version 1.2.3 is sha256:"), "{}", told(&report));
    assert_eq!(fs::read_to_string(world.repo().join(FILE)).unwrap(), lock);
    assert_eq!(
        said(&world.render()),
        pairs([("shop/web-web", "first chart"), ("shop/db-db", "first chart")])
    );

    let report = world.lock_by(&world.fetcher(), true);
    assert_eq!(states(&report), [("web".into(), State::Updated), ("db".into(), State::Updated)]);
    assert_eq!(
        said(&world.render()),
        pairs([("shop/web-web", "newer chart"), ("shop/db-db", "second chart")])
    );
}

#[test]
fn credentials_are_those_of_helms_own_files_and_are_shown_nowhere() {
    let (Some(world), Some(registry)) = (World::new(), Registry::start()) else { return };
    let (site, guard) = (Site::guarded(USER).unwrap(), Site::guard_of(registry.port, USER).unwrap());
    world.serve(&site, &[("web-1.2.3.tgz", world.pack("web", "1.2.3", "web", &[]))]);
    registry.push(&world, "db-0.4.0.tgz", &world.pack("db", "0.4.0", "db", &[]));
    let (http, host) = (format!("http://127.0.0.1:{}", site.port()), format!("127.0.0.1:{}", guard.port()));
    world.write(&[(
        "root.yaml",
        &[
            application("web", &format!("source: {{repoURL: '{http}', chart: web, targetRevision: 1.2.3}}")),
            application("db", &format!("source: {{repoURL: '{host}/charts', chart: db, targetRevision: 0.4.0}}")),
            // A Secret of Argo CD in the repository is no credential here.
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: repo, namespace: argocd, labels: {{argocd.argoproj.io/secret-type: repository}}}}\n\
                 stringData: {{url: '{http}', type: helm, username: user, password: hush}}\n"
            ),
        ]
        .concat(),
    )]);
    let report = world.lock();
    assert_eq!(states(&report), [("web".into(), State::Failed), ("db".into(), State::Failed)]);
    assert!(report.problems.iter().all(|problem| problem.code.0 == 638), "{}", told(&report));
    assert!(told(&report).contains("401") && told(&report).contains("credential"), "{}", told(&report));

    let folder = world.dir.path();
    write(
        folder,
        &[
            ("registry.json", &format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"{}\"}}}}}}", &USER[6..])),
            (
                "repositories.yaml",
                &format!("repositories:\n- {{name: mine, url: '{http}/', username: user, password: hush}}\n"),
            ),
        ],
    );
    let fetcher = Fetcher {
        registry_config: Some(folder.join("registry.json")),
        repository_config: Some(folder.join("repositories.yaml")),
        ..world.fetcher()
    };
    let report = world.lock_by(&fetcher, false);
    assert_eq!(states(&report), [("web".into(), State::New), ("db".into(), State::New)], "{}", told(&report));
    assert!(!fs::read_to_string(world.repo().join(FILE)).unwrap().contains("hush"));
    let kept = fs::read_to_string(folder.join("registry.json")).unwrap();
    assert!(kept.contains(&host), "what the user has is not changed");

    // A password that is wrong is not told either.
    write(
        folder,
        &[(
            "repositories.yaml",
            &format!("repositories:\n- {{name: mine, url: '{http}', username: user, password: hush7}}\n"),
        )],
    );
    let report = world.lock_by(&fetcher, false);
    assert!(told(&report).contains("401") && !told(&report).contains("hush7"), "{}", told(&report));
}

#[test]
fn a_chart_that_was_compared_with_nothing_is_locked_and_told_once() {
    let Some(world) = World::new() else { return };
    let site = Site::start().unwrap();
    let url = format!("http://127.0.0.1:{}", site.port());
    one(&world, &url, "1.2.3");
    let index = "apiVersion: v1\nentries: {web: [{name: web, version: 1.2.3, urls: [web-1.2.3.tgz]}]}\n";
    site.put("/web-1.2.3.tgz", Answer::Content(world.pack("web", "1.2.3", "web", &[])));
    site.put("/index.yaml", Answer::Content(index.into()));
    let report = world.lock();
    assert_eq!(states(&report), [("web".into(), State::New)]);
    let text = told(&report);
    assert!(text.contains("650 Application/argocd/web: ") && text.contains("gives no digest"), "{text}");
    let again = world.lock();
    assert!(again.problems.is_empty(), "{}", told(&again));
}

#[test]
fn a_repository_that_answers_badly_is_one_finding_and_changes_nothing() {
    let Some(world) = World::new() else { return };
    let site = Site::start().unwrap();
    let url = format!("http://127.0.0.1:{}", site.port());
    one(&world, &url, "1.2.3");
    let (web, other) = (world.pack("web", "1.2.3", "web", &[]), world.pack("other", "1.2.3", "x", &[]));
    world.serve(&site, &[("web-1.2.3.tgz", web.clone())]);
    assert_eq!(states(&world.lock()), [("web".into(), State::New)]);
    let lock = fs::read_to_string(world.repo().join(FILE)).unwrap();
    let kept = |fetcher: &Fetcher, why: &str| {
        let report = world.lock_by(fetcher, true);
        assert_eq!(states(&report), [("web".into(), State::Failed)], "{why}");
        let text = told(&report);
        assert!(
            report.problems.len() == 1
                && text.starts_with("638 Application/argocd/web: ")
                && text.contains(why),
            "{why}: {text}"
        );
        assert!(text.len() < 4400 && !text.contains("/tmp/"), "{text}");
        assert_eq!(fs::read_to_string(world.repo().join(FILE)).unwrap(), lock);
        assert_eq!(said(&world.render()), pairs([("shop/web-web", "web chart")]), "{why}");
    };
    let fetcher = world.fetcher();
    // The index says another digest than the archive has; Helm itself does not look.
    let other_content = world.pack("web", "1.2.3", "tampered", &[]);
    site.put("/web-1.2.3.tgz", Answer::Content(other_content));
    kept(&fetcher, "the index of its repository says");
    site.put("/web-1.2.3.tgz", Answer::Content(b"<html>not here</html>".to_vec()));
    kept(&fetcher, "is no chart");
    site.put("/web-1.2.3.tgz", Answer::Late(Duration::from_secs(20)));
    kept(&Fetcher { timeout: Duration::from_secs(2), ..fetcher.clone() }, "takes longer than 2 s");
    // Without a digest nobody can tell but by the name in the chart.
    let index = |entry: &str| {
        Answer::Content(
            format!("apiVersion: v1\nentries: {{web: [{{name: web, version: 1.2.3, {entry}}}]}}\n").into(),
        )
    };
    site.put("/index.yaml", index("urls: [other.tgz]"));
    site.put("/other.tgz", Answer::Content(other));
    kept(&fetcher, "calls itself \"other\"");
    // An index that Helm reads and we do not, with more aliases than we take: the digest in it may be another one.
    let keys = format!("[&a '{}', {}]", "x".repeat(40_000), ["*a"; 40].join(", "));
    let unread = |entry: &str| {
        let text = format!(
            "apiVersion: v1\npublicKeys: {keys}\nentries: {{web: [{{name: web, version: 1.2.3, {entry}}}]}}\n"
        );
        Answer::Content(text.into())
    };
    site.put("/web-1.2.3.tgz", Answer::Content(world.pack("web", "1.2.3", "another", &[])));
    site.put("/index.yaml", unread("urls: [web-1.2.3.tgz]"));
    kept(&fetcher, "cannot be read here");
    // Another version in the archive than the index has is looked up in vain; one that is no version is none.
    for version in ["1.2.4", "../../../x", "1.2.3\u{202e}gpj"] {
        let chart = world.pack("web", "1.2.3", "evil", &[]);
        let chart = repacked(&chart, "version: 1.2.3", &format!("version: '{version}'"));
        site.put("/web-1.2.3.tgz", Answer::Content(chart));
        site.put("/index.yaml", index("urls: [web-1.2.3.tgz]"));
        kept(&fetcher, "not taken");
    }
    // The index leads to this machine's other ports.
    let secret = Site::start().unwrap();
    secret.put("/web-1.2.3.tgz", Answer::Content(web));
    site.put("/index.yaml", index(&format!("urls: ['http://127.0.0.1:{}/web-1.2.3.tgz']", secret.port())));
    if portolan_effects::confined::weakness_of_connections().is_none() {
        kept(&fetcher, "permission denied");
        assert!(secret.asked().is_empty());
    }
    site.put("/index.yaml", index("urls: ['file:///etc/passwd']"));
    kept(&fetcher, "file");
    site.put("/index.yaml", Answer::Content(b"<!doctype html><title>hello</title>".to_vec()));
    kept(&fetcher, "unmarshal");
    site.put("/index.yaml", Answer::Late(Duration::from_secs(20)));
    kept(&Fetcher { timeout: Duration::from_secs(2), ..fetcher.clone() }, "takes longer than 2 s");
    drop(site);
    kept(&fetcher, "refused");
}

#[test]
fn a_version_that_there_is_not_is_told_in_helms_words() {
    let (Some(world), Some(registry)) = (World::new(), Registry::start()) else { return };
    let site = Site::start().unwrap();
    world.serve(&site, &[("web-1.2.3.tgz", world.pack("web", "1.2.3", "web", &[]))]);
    registry.push(&world, "web-1.2.3.tgz", &world.pack("web", "1.2.3", "web", &[]));
    let urls =
        [format!("http://127.0.0.1:{}", site.port()), format!("oci://127.0.0.1:{}/charts", registry.port)];
    for url in &urls {
        for version in ["9.9.9", ">=9"] {
            one(&world, url, version);
            let report = world.lock();
            assert_eq!(states(&report), [("web".into(), State::Failed)], "{url} {version}");
            assert!(told(&report).contains('9') && report.problems.len() == 1, "{}", told(&report));
            assert!(!world.repo().join(FILE).exists(), "nothing is locked, so nothing is written");
        }
    }
    // What nobody fetches is said while rendering, and is an error where it was to be locked.
    let never = |url: &str, why: &str, code: u16| {
        let report = world.lock();
        assert!(report.charts.is_empty() && report.problems.len() == 1, "{url} {}", told(&report));
        assert!(report.problems[0].code.0 == 638 && told(&report).contains(why), "{url} {}", told(&report));
        let all = findings(&world.render());
        let of: Vec<_> = all.iter().filter(|(found, _)| *found == code).collect();
        assert!(of.len() == 1 && of[0].1.contains(why), "{url} {all:?}");
        assert!(!format!("{all:?} {}", told(&report)).contains("hush"), "{url} {all:?}");
    };
    let urls = [
        ("https://user:hush@charts.example", "user name or password"),
        ("ftp://user:hush@charts.example", "user name or password"),
        ("ftp://charts.example", "is no https://"),
    ];
    for (url, why) in urls {
        one(&world, url, "1.2.3");
        never(url, why, 607);
    }
    // Named by a kustomization, and by Chart.yaml.
    fs::remove_file(world.repo().join("root.yaml")).unwrap();
    for (url, why) in urls {
        let named = format!("helmCharts: [{{name: web, repo: '{url}', version: 1.2.3}}]\n");
        world.write(&[("kustomization.yaml", &named)]);
        never(url, why, 607);
    }
    fs::remove_file(world.repo().join("kustomization.yaml")).unwrap();
    for (url, why) in urls {
        let chart = format!(
            "apiVersion: v2\nname: top\nversion: 1.0.0\ndependencies: [{{name: web, repository: '{url}', version: 1.2.3}}]\n"
        );
        world.write(&[("Chart.yaml", &chart), ("templates/x.yaml", "")]);
        never(url, why, 609);
    }
}

fn by_name(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    match host {
        "charts.example" => Ok(vec![([127, 0, 0, 1], port).into()]),
        "metadata.example" => Ok(vec![([169, 254, 169, 254], port).into()]),
        _ => Err(std::io::Error::other("no such name")),
    }
}

/// By a name Helm asks through the gate, which is all that it can reach.
#[test]
fn helm_reaches_what_the_gate_lets_through() {
    let Some(world) = World::new() else { return };
    let site = Site::start().unwrap();
    let url = format!("http://charts.example:{}", site.port());
    one(&world, &url, "1.2.3");
    world.serve(&site, &[("web-1.2.3.tgz", world.pack("web", "1.2.3", "web", &[]))]);
    let fetcher = Fetcher { resolve: by_name, ..world.fetcher() };
    assert_eq!(states(&world.lock_by(&fetcher, false)), [("web".into(), State::New)]);
    let failed = |fetcher: &Fetcher, why: &str| {
        let report = world.lock_by(fetcher, true);
        assert_eq!(states(&report), [("web".into(), State::Failed)], "{why}");
        assert!(told(&report).contains(why), "{why}: {}", told(&report));
    };
    let index = |url: &str| {
        let text =
            format!("apiVersion: v1\nentries: {{web: [{{name: web, version: 1.2.3, urls: ['{url}']}}]}}\n");
        Answer::Content(text.into())
    };
    site.put("/index.yaml", index("http://metadata.example/latest/meta-data"));
    failed(&fetcher, "metadata.example is 169.254.169.254");
    site.put("/index.yaml", index("web-1.2.3.tgz"));
    site.put("/web-1.2.3.tgz", Answer::Redirect("http://metadata.example/latest".into()));
    failed(&fetcher, "metadata.example is 169.254.169.254");
    let secret = Site::start().unwrap();
    site.put("/web-1.2.3.tgz", Answer::Redirect(format!("http://127.0.0.1:{}/", secret.port())));
    if portolan_effects::confined::weakness_of_connections().is_none() {
        failed(&fetcher, "permission denied");
        assert!(secret.asked().is_empty());
    }
    site.put("/web-1.2.3.tgz", Answer::Endless);
    failed(&Fetcher { most: 4 << 20, ..fetcher.clone() }, "more than it may was sent");
    // Without the flag a name that leads to this machine is not asked at all.
    let before = site.asked().len();
    failed(
        &Fetcher { loopback: false, ..fetcher },
        "charts.example is 127.0.0.1, which no repository may have asked",
    );
    assert_eq!(site.asked().len(), before);
    one(&world, &format!("http://127.0.0.1:{}", site.port()), "1.2.3");
    failed(
        &Fetcher { loopback: false, ..world.fetcher() },
        "its repository's host 127.0.0.1 is this machine",
    );
    assert_eq!(site.asked().len(), before);
}

#[test]
fn what_is_not_as_locked_is_not_rendered() {
    let Some(world) = World::new() else { return };
    let site = Site::start().unwrap();
    one(&world, &format!("http://127.0.0.1:{}", site.port()), "1.2.3");
    world.serve(&site, &[("web-1.2.3.tgz", world.pack("web", "1.2.3", "web", &[]))]);
    world.lock();
    let (file, lock) = (world.repo().join(FILE), LockFile::read(&world.repo()).unwrap());
    let digest = &lock.charts.values().next().unwrap().digest;
    let place = world.store.folder().join("sha256").join(format!("{}.tgz", digest.digits()));
    let good = fs::read(&place).unwrap();
    fs::write(&place, world.pack("web", "1.2.3", "tampered", &[])).unwrap();
    let rendered = world.render();
    let of = findings(&rendered);
    assert!(of.iter().any(|(code, text)| *code == 637 && text.contains("holds sha256:")), "{of:?}");
    assert!(said(&rendered).is_empty() && rendered.whole.unsure.contains("web"));
    // `charts lock` puts it right.
    assert_eq!(states(&world.lock()), [("web".into(), State::Same)]);
    assert_eq!(fs::read(&place).unwrap(), good);
    assert_eq!(said(&world.render()).len(), 1);

    let text = fs::read_to_string(&file).unwrap();
    // Edited by hand: another chart that is here, another version than is asked for.
    let other = world.store.put(&world.pack("hard", "1.2.3", "hard", &[])).unwrap();
    for (from, to, why) in [
        (digest.to_string(), other.to_string(), "calls itself \"hard\""),
        ("version: \"1.2.3\"".to_owned(), "version: \"1.2.4\"".to_owned(), "and the lock says \"1.2.4\""),
    ] {
        let edited = text.replace(&from, &to);
        assert_ne!(edited, text, "{from}");
        fs::write(&file, edited).unwrap();
        let of = findings(&world.render());
        assert!(of.iter().any(|(code, text)| *code == 637 && text.contains(why)), "{why}: {of:?}");
        assert!(said(&world.render()).is_empty());
    }
    // A link may lead to what nobody is to see, and what is wrong with a file is told with none of its words.
    let outside = world.repo().parent().unwrap().join("outside");
    fs::write(&outside, "password hunter2\n").unwrap();
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    let of = findings(&world.render());
    assert!(of.iter().any(|(code, text)| *code == 635 && text.contains("it is a link")), "{of:?}");
    fs::remove_file(&file).unwrap();
    for text in ["password hunter2\n", "version: 1\nhunter2-token: x\n", "version: hunter2\n"] {
        fs::write(&file, text).unwrap();
        let of = findings(&world.render());
        assert!(of.iter().any(|(code, _)| *code == 635) && !format!("{of:?}").contains("hunter2"), "{of:?}");
    }
    fs::write(&file, text.replace("version: 1\n", "version: 7\n")).unwrap();
    let of = findings(&world.render());
    let codes: Vec<u16> = of.iter().map(|(code, _)| *code).filter(|code| (635..640).contains(code)).collect();
    assert_eq!(codes, [635, 636], "{of:?}");
    let report = world.lock();
    assert!(
        report.charts.is_empty() && told(&report).contains("635 File/portolan.lock"),
        "{}",
        told(&report)
    );
    assert!(
        fs::read_to_string(&file).unwrap().contains("version: 7"),
        "what cannot be read is not written over"
    );
}

//! What it costs to read a repository of 1,500 documents: cold, and after an edit of one file. Goals are by the clock; beside it stands the
//! time of processors (ours, and of Helm and Kustomize), which what else the machine does changes less, and work is counted. `make bench-render`:
//!
//! - `PORTOLAN_BENCH_DOCUMENTS` (1500): how many documents.
//! - `PORTOLAN_BENCH_BINARY`: a `portolan` of which a whole `portolan render` is measured too, with its rooms.
//! - `PORTOLAN_BENCH_RESULTS`: a file of which the table becomes a section.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::format_push_string, reason = "a benchmark")]

mod process;
mod shapes;

use std::{env, fs, path::Path, time::Instant};

use portolan_effects::render::{Tools, Touched, Tree, Work};
use portolan_testkit as testkit;
use process::Spent;
use shapes::{Shape, all};

/// What the issue asks for: seconds cold, seconds after an edit, bytes.
const GOALS: (f64, f64, u64) = (2.0, 0.3, 120 << 20);

struct Row {
    name: &'static str,
    objects: usize,
    cold: Spent,
    edit: Spent,
    work: (Work, Work),
    memory: u64,
    whole: Option<(Spent, u64)>,
}

fn main() {
    let documents = env::var("PORTOLAN_BENCH_DOCUMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let (Some(helm), Some(kustomize)) = (testkit::program("helm"), testkit::program("kustomize")) else {
        println!("helm or kustomize was not found; run scripts/setup demo");
        std::process::exit(1);
    };
    let binary = env::var("PORTOLAN_BENCH_BINARY").ok();
    let mut rows = Vec::new();
    for shape in all(documents) {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().canonicalize().unwrap().join("repo");
        shape.files.iter().for_each(|(path, text)| put(&repo, path, text));
        let tools = Tools::new(Some(helm.clone()), dir.path().join("cache"));
        let tools = tools
            .kustomize(Ok::<_, String>(kustomize.clone()))
            .through(env!("CARGO_BIN_EXE_portolan-confined"));
        let row = measure(&shape, &repo, tools, binary.as_deref());
        println!("{}", line(&row));
        rows.push(row);
    }
    if let Ok(file) = env::var("PORTOLAN_BENCH_RESULTS") {
        report(Path::new(&file), documents, &rows);
    }
}

fn put(repo: &Path, path: &str, text: &str) {
    let path = repo.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn measure(shape: &Shape, repo: &Path, tools: Tools, binary: Option<&str>) -> Row {
    let mut tree = Tree::new(repo, "dev", shape.root, tools);
    process::forget_peak();
    let (first, cold) = timed(|| tree.read(&Touched::All));
    let memory = process::peak(std::process::id());
    let errors: Vec<_> =
        first.problems.values().flatten().filter(|p| (600..640).contains(&p.code.0)).collect();
    assert!(errors.is_empty(), "{}: {:?}", shape.name, errors.first());
    let (path, text) = &shape.edit;
    put(repo, path, text);
    let (second, edit) = timed(|| tree.read(&Touched::Paths([repo.join(path)].into())));
    assert!(second.work.parts > 0, "{}: the edit changed nothing", shape.name);
    let whole = binary.map(|binary| {
        let mut command = std::process::Command::new(binary);
        command
            .args(["render", "--env", "dev"])
            .arg(repo)
            .env("XDG_CACHE_HOME", repo.parent().unwrap().join("own"));
        command.args(shape.root.into_iter().flat_map(|root| ["--root", root]));
        process::run(command)
    });
    Row {
        name: shape.name,
        objects: first.objects.len(),
        cold,
        edit,
        work: (first.work, second.work),
        memory,
        whole,
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (before, begun) = (Spent::so_far(), Instant::now());
    let done = work();
    let spent = Spent::so_far().since(&before, begun.elapsed());
    (done, spent)
}

fn line(row: &Row) -> String {
    let verdict = |met: bool| if met { "" } else { " MISSED" };
    // By the clock: it is what a user waits for, and the programs run side by side.
    let (cold, edit) = (row.cold.wall, row.edit.wall);
    let whole = row.whole.as_ref().map_or_else(
        || "-".to_owned(),
        |(spent, memory)| {
            let met = spent.wall <= GOALS.0 && *memory <= GOALS.2;
            format!("{:.2} s ({:.2} s), {} MB{}", spent.cpu(), spent.wall, memory >> 20, verdict(met))
        },
    );
    format!(
        "| {} | {} | {:.2} + {:.2} s ({:.2} s){} | {:.3} + {:.3} s ({:.3} s){} | {} / {} / {} | {} MB{} | {whole} |",
        row.name,
        row.objects,
        row.cold.own,
        row.cold.programs,
        row.cold.wall,
        verdict(cold <= GOALS.0),
        row.edit.own,
        row.edit.programs,
        row.edit.wall,
        verdict(edit <= GOALS.1),
        row.work.1.parts,
        row.work.1.judged,
        row.work.1.objects,
        row.memory >> 20,
        verdict(row.memory <= GOALS.2),
    )
}

fn report(file: &Path, documents: usize, rows: &[Row]) {
    let profile = if cfg!(debug_assertions) {
        "dev (not optimised: the goals are for the release build)"
    } else {
        "release"
    };
    let mut text = format!(
        "# What reading a repository costs\n\nMade by `make bench-render` on {}: {documents} documents in each shape; profile {profile}; \
         load {}. Seconds of processors: ours + those of Helm and Kustomize (by the clock). Work of the edit: parts read / documents \
         judged / objects handed on. Memory is the peak of the process that reads, which is not emptied between shapes. The last column is a whole `portolan render`, \
         with its rooms. Goals, by the clock: {} s cold, {} s after an edit, {} MB.\n\n| shape | objects | cold | after an edit | its work | memory | `portolan render` |\n|---|---|---|---|---|---|---|\n",
        process::date(),
        process::load(),
        GOALS.0,
        GOALS.1,
        GOALS.2 >> 20,
    );
    for row in rows {
        text += &line(row);
        text.push('\n');
    }
    fs::write(file, text).unwrap();
}

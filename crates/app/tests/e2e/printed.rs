//! Every command that README, guides and the demo print is run as it is printed, in an empty home, with the program in
//! PATH, in a network namespace of the test's own: the default ports are free there.

use std::{
    fmt::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use portolan_testkit::suites;
use tempfile::TempDir;

use crate::{
    instance::{envoy, portolan},
    platform::copy,
};

/// What is printed and cannot be run here, with the reason. Each stands somewhere, or the list is wrong.
const NOT_RUN: [(&str, &str); 2] = [
    ("make demo", "builds a release; what its script does and prints is run with this program"),
    ("make test", "runs this test"),
];

/// The documents in which people look for commands.
fn documents() -> Vec<PathBuf> {
    let root = suites::repository();
    let mut all = vec![root.join("README.md")];
    let guides = std::fs::read_dir(root.join("docs/guides")).unwrap();
    all.extend(
        guides.map(|entry| entry.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")),
    );
    all.sort();
    all
}

/// Commands of the console blocks, in order.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```console";
        } else if let Some(command) = line.trim_start().strip_prefix("$ ").filter(|_| inside) {
            found.push(command.to_owned());
        }
    }
    found
}

/// A place as after `git clone`: the examples and the scripts, an empty home, programs in PATH.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = crate::instance::private();
        let clone = dir.path().join("portolan");
        for part in ["examples", "scripts"] {
            copy(&suites::repository().join(part), &clone.join(part));
        }
        let script = clone.join("scripts/demo");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["home", "bin", "run", "out"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        std::fs::set_permissions(dir.path().join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(portolan().get_program(), dir.path().join("bin/portolan")).unwrap();
        for tool in ["envoy", "helm"] {
            if let Some(program) = suites::program(tool) {
                let program = program.canonicalize().unwrap();
                std::os::unix::fs::symlink(program, dir.path().join("bin").join(tool)).unwrap();
            }
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a script of bash in the clone; what it printed.
    fn bash(&self, script: &str) -> String {
        let file = self.path("script");
        let waits = "well() { for n in $(seq 900); do \"$@\" >/dev/null 2>&1 && return; sleep 0.1; done; echo \"never: $*\"; }\n";
        std::fs::write(&file, format!("{waits}{script}")).unwrap();
        let output = Command::new("unshare")
            .args(["-rn", "sh", "-c", "ip link set lo up && exec timeout 240 bash \"$0\""])
            .arg(&file)
            .current_dir(self.path("portolan"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", self.path("bin").display()),
            )
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
    }

    /// Runs commands as they are printed, and asserts that each ends with 0. `up` runs on until a later one ends it.
    fn run(&self, what: &str, before: &str, commands: &[String], after: &str) -> Vec<String> {
        let mut script = String::from(before);
        let mut last = 0;
        for (n, command) in commands.iter().enumerate() {
            if command.starts_with("portolan up ") && !command.contains("--once") {
                writeln!(script, "{command} >../out/{n} 2>&1 & up=$!; echo '{n} 0'").unwrap();
                // As a reader, who types the next command once the live view says so.
                writeln!(script, "settled() {{ portolan status >../out/settled && grep -q '^live' ../out/settled && ! grep -q '^pending' ../out/settled; }}").unwrap();
                writeln!(script, "well settled").unwrap();
            } else {
                writeln!(script, "{command} >../out/{n} 2>&1; echo \"{n} $?\"").unwrap();
            }
            last = n;
        }
        let said = self.bash(&(script + after));
        let outputs: Vec<String> = (0..=last)
            .map(|n| std::fs::read_to_string(self.path("out").join(n.to_string())).unwrap_or_default())
            .collect();
        for (n, command) in commands.iter().enumerate() {
            assert!(
                said.lines().any(|line| line == format!("{n} 0")),
                "{what}: `{command}` did not end with 0\n{}\nall: {said}",
                outputs[n]
            );
        }
        assert!(!said.contains("never: "), "{what}: {said}\n{}", outputs.join("\n"));
        outputs
    }
}

/// Whether a network namespace can be made and the tools are there.
fn able(suite: &str) -> bool {
    if envoy(suite).is_none() || suites::program("helm").is_none() {
        return false;
    }
    let made = Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).output();
    if made.is_ok_and(|output| output.status.success()) {
        return true;
    }
    suites::skip_optional(suite, "no network namespace can be made (unshare -rn, ip)");
    false
}

#[test]
fn what_the_documents_print_works_as_printed() {
    if !able("e2e printed documents") {
        return;
    }
    let mut unused: Vec<&str> = NOT_RUN.iter().map(|(command, _)| *command).collect();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let name = document.file_name().unwrap().to_string_lossy().into_owned();
        let mut printed = commands(&text);
        printed.retain(|command| {
            let listed = NOT_RUN.iter().any(|(not_run, _)| command == not_run);
            unused.retain(|not_run| command != not_run);
            !listed
        });
        // What README shows is what the demo prints: it is run there.
        if printed.is_empty() || name == "README.md" {
            continue;
        }
        assert!(printed.iter().any(|command| command == "portolan down"), "{name} ends with nothing running");
        Place::new().run(&name, "", &printed, "wait $up\n");
    }
    assert!(unused.is_empty(), "not printed anywhere: {unused:?}");
}

/// The demo with this program: what it prints is run, and README shows what comes of it.
#[test]
fn what_the_demo_prints_works_as_printed() {
    if !able("e2e printed demo") {
        return;
    }
    let place = Place::new();
    let program = place.path("bin/portolan");
    let state = place.path("demo-state");
    let start = format!(
        "export PORTOLAN_DEMO_STATE={}\nscripts/demo {} >../demo 2>&1 & demo=$!\nwell grep -q 'watch the lines here' ../demo\n",
        state.display(),
        program.display()
    );
    // First what it prints; then all of it.
    let said = place.bash(&format!("{start}cat ../demo; {} down; wait $demo\n", program.display()));
    let (_, block) = said.split_once("In another terminal:").unwrap_or_else(|| panic!("{said}"));
    let printed: Vec<String> =
        block.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect();
    assert!(printed.len() >= 7 && printed.last().unwrap().ends_with(" down"), "{printed:?}");
    // README shows a first run: one that is resumed orders nothing.
    std::fs::remove_dir_all(&state).unwrap();
    let outputs = place.run("demo", &start, &printed, "wait $demo\n");
    let output_of = |verb: &str| {
        let n = printed.iter().position(|command| command.contains(verb)).unwrap();
        &outputs[n]
    };
    let readme = std::fs::read_to_string(suites::repository().join("README.md")).unwrap();
    let shown = commands(&readme);
    let verb = |command: &str| {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        words.join(" ")
    };
    for command in shown.iter().filter(|command| command.starts_with("portolan ")) {
        assert!(
            printed.iter().any(|other| verb(other) == verb(command)),
            "the demo does not print `{command}`"
        );
    }
    let steps = |text: &str| -> Vec<String> {
        let marked = text.lines().filter_map(|line| line.strip_prefix("ok   "));
        marked.filter_map(|rest| Some(rest.split_once("   ")?.0.to_owned())).collect()
    };
    let (_, sample) = readme.split_once("$ portolan explain").unwrap();
    assert_eq!(steps(sample), steps(output_of(" explain ")), "README's sample of explain is stale");
    let (_, sample) = readme.split_once("$ portolan status\n").unwrap();
    let head = |text: &str| -> Vec<String> {
        text.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(head(sample), head(output_of(" status")), "README's sample of status is stale");
}

/// What stands in running text names verbs that there are.
#[test]
fn every_verb_that_a_document_names_is_one() {
    let root = suites::repository();
    let help = String::from_utf8(portolan().arg("--help").output().unwrap().stdout).unwrap();
    let verbs: Vec<&str> = help
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '-']))?.split(' ').next()
        })
        .collect();
    let references = ["docs/reference/cli.md", "docs/reference/findings.md", "CONTRIBUTING.md"];
    for document in documents().into_iter().chain(references.map(|name| root.join(name))) {
        let text = std::fs::read_to_string(&document).unwrap();
        for at in text.match_indices("`portolan ").map(|(at, found)| at + found.len()) {
            let verb: String = text[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(
                verbs.contains(&&*verb) || verb.is_empty(),
                "{} names `portolan {verb}`",
                show(&document)
            );
        }
    }
}

fn show(path: &Path) -> String {
    path.strip_prefix(suites::repository()).unwrap_or(path).display().to_string()
}

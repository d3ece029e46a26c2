//! What is printed, and where it cannot be.

use crate::instance::portolan;

/// An output that takes nothing is one sentence and exit code 2, and not a panic; a pipe that is closed has taken enough.
#[test]
fn an_output_that_is_full_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\n";
    std::fs::write(dir.path().join("a.yaml"), map).unwrap();
    let folder = dir.path().to_str().unwrap();
    let verbs: [&[&str]; 7] = [
        &["render", folder],
        &["render", folder, "--objects"],
        &["render", folder, "-o", "json"],
        &["man"],
        &["completion", "bash"],
        &["--help"],
        &["--version"],
    ];
    for words in verbs {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let done = portolan().args(words).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("the output cannot be written: No space left"), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let done = portolan().args(words).stdout(write).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let done = portolan().args(["render", "/nonesuch"]).stderr(full).output().unwrap();
        assert_eq!(done.status.code(), Some(2));
    }
}

/// A manual page refers to none that is not written.
#[test]
fn every_manual_page_that_is_named_is_there() {
    let dir = tempfile::tempdir().unwrap();
    assert!(portolan().arg("man").arg(dir.path()).status().unwrap().success());
    let pages: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(dir.path().join("portolan-charts-lock.1").is_file(), "{pages:?}");
    let mut named = 0;
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap().replace('\\', "");
        for reference in text.split_whitespace().filter_map(|word| word.strip_suffix("(1)")) {
            assert!(dir.path().join(format!("{reference}.1")).is_file(), "{}: {reference}", page.display());
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

//! A child process writes; it is killed with SIGKILL again and again, while it opens, writes or waits for the disk.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    Store,
    script::{Dice, last, play},
};

const CHILD: &str = "PORTOLAN_TEST_STORE_CHILD";
const ROUNDS: u64 = 80;

#[test]
fn acknowledged_writes_survive_kill_nine_at_any_point() {
    if let Ok(dir) = std::env::var(CHILD) {
        let mut store = Store::open(Path::new(&dir)).unwrap();
        let begin = last(&store) + 1;
        for n in begin..begin + 100_000 {
            play(&mut store, n);
            println!("done {n}");
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(2026);
    let (mut before, mut version, mut in_batch) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                concat!(module_path!(), "::acknowledged_writes_survive_kill_nine_at_any_point")
                    .split_once("::")
                    .unwrap()
                    .1,
                "--nocapture",
            ])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Some are killed while they open, others after a few batches, and then a moment into the next one.
        let wait_for = dice.below(5);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("done ")?.parse::<u64>().ok());
        let mut acknowledged = before;
        for n in lines.by_ref().take(usize::try_from(wait_for).unwrap()) {
            acknowledged = n;
        }
        let moment = if wait_for == 0 { dice.below(60_000) } else { dice.below(5_000) };
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        // What it had said before it died.
        acknowledged = lines.last().unwrap_or(acknowledged);
        child.wait().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let found = last(&store);
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "round {round}: {acknowledged} was acknowledged, {found} is there"
        );
        assert!(store.version() > version, "versions grow over a kill");
        in_batch += found - acknowledged;
        (before, version) = (found, store.version());
    }
    assert!(before > ROUNDS, "the children wrote: {before} batches");
    println!("{ROUNDS} kills, {before} batches, {in_batch} times after the disk and before the answer");
}

//! What Envoy is started with, and what a running one was started with: its command line is all that is known of one that an
//! earlier run left.
//!
//! One Envoy takes over from another by Envoy's hot restart (Envoy, "Hot restart"): the next *epoch* of a *base* gets the
//! sockets that the one before listens on, begins to serve when all of its configuration is there, and has the other drain and
//! end. They talk over Unix sockets in the private folder of the state; Envoy's default, abstract ones, are open to everybody on
//! the machine.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use portolan_core::gateway::DRAIN_SECONDS;

use super::record::CONFIG;
use crate::state_dir::Identity;

/// Changes when an argument below does: an Envoy that was started with others is replaced.
const ARGUMENTS: &str = "1";

/// Node of the Envoys of earlier releases, in their start configuration.
const UNNAMED: &str = "portolan";

/// Where Envoys of one base share memory: without it none can take over from another.
const SHARED: &str = "/dev/shm";

/// Bases have at most eight digits, so that the names of the sockets stay short.
const BASES: u64 = 100_000_000;
/// Longest name that Envoy makes of a socket path, base and epoch, and longest path of a Unix socket.
const SUFFIX: usize = "_udp_parent_999999999".len();
const LONGEST: usize = 107;

/// How an Envoy is to be started on a state.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// The state directory, with the start configuration in it.
    pub state: PathBuf,
    /// The folder of sockets of the state.
    pub sockets: PathBuf,
    /// Its name on the wire, which is another for each program, start configuration and set of arguments.
    pub node: String,
}

impl Setup {
    /// For a program that says this version.
    pub fn new(program: PathBuf, version: &str, state: &Path, sockets: &Path, bootstrap: &[u8]) -> Self {
        let mut content = format!("{ARGUMENTS}\n{version}\n").into_bytes();
        content.extend(bootstrap);
        let node = format!("{UNNAMED}-{:016x}", number(&content));
        Self { program, state: state.to_owned(), sockets: sockets.to_owned(), node }
    }

    /// The first Envoy of this state, if others can take over from it.
    pub(super) fn first(&self) -> Option<Place> {
        let socket = self.sockets.join("h");
        let able = rustix::fs::access(SHARED, rustix::fs::Access::WRITE_OK).is_ok()
            && socket.as_os_str().len() + SUFFIX <= LONGEST;
        let identity = Identity::of(&self.state).ok()?.line();
        let base = u32::try_from(number(identity.as_bytes()) % BASES).ok()?;
        able.then_some(Place { base, epoch: 0, socket })
    }

    /// The arguments for an Envoy at this place.
    pub(super) fn arguments(&self, place: Option<&Place>) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["-c".into(), self.state.join(CONFIG).into()];
        all.extend(["--service-cluster", "portolan", "--service-node", &self.node].map(OsString::from));
        all.extend(["--log-level", "warning", "--concurrency", "2"].map(OsString::from));
        let (drain, end) = (DRAIN_SECONDS.to_string(), (DRAIN_SECONDS + 5).to_string());
        all.extend(["--drain-time-s", &drain, "--parent-shutdown-time-s", &end].map(OsString::from));
        match place {
            Some(place) => {
                let (base, epoch) = (place.base.to_string(), place.epoch.to_string());
                all.extend(["--base-id", &base, "--restart-epoch", &epoch].map(OsString::from));
                all.extend(["--socket-mode", "600", "--socket-path"].map(OsString::from));
                all.push(place.socket.clone().into());
            }
            None => all.extend(["--use-dynamic-base-id", "--disable-hot-restart"].map(OsString::from)),
        }
        all
    }
}

/// Where an Envoy stands in the line of those that take over from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    base: u32,
    epoch: u32,
    socket: PathBuf,
}

impl Place {
    /// That of the one that takes over.
    pub fn next(&self) -> Self {
        Self { epoch: self.epoch + 1, ..self.clone() }
    }

    /// Removes the memory that Envoys of this base have shared: none is left.
    pub fn forget(&self) {
        // Envoy multiplies its bases by ten, for the epochs of each.
        let _ = fs::remove_file(format!("{SHARED}/envoy_shared_memory_{}", u64::from(self.base) * 10));
    }
}

/// What a process was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its start configuration.
    pub config: PathBuf,
    /// Its name on the wire.
    pub node: String,
    /// `None` if no other can take over from it.
    pub place: Option<Place>,
}

impl Started {
    /// How many have taken over before it.
    pub fn epoch(&self) -> u32 {
        self.place.as_ref().map_or(0, |place| place.epoch)
    }

    /// Of a process, if its command line is one that we start Envoy with, or did in an earlier release.
    pub fn of(pid: i32) -> Option<Self> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        Self::read(&words)
    }

    fn read(words: &[&[u8]]) -> Option<Self> {
        let after = |flag: &str| words.windows(2).rfind(|two| two[0] == flag.as_bytes()).map(|two| two[1]);
        let text = |flag| after(flag).and_then(|word| std::str::from_utf8(word).ok());
        let path = |flag| after(flag).map(|word| PathBuf::from(OsStr::from_bytes(word)));
        if !words.contains(&b"--use-dynamic-base-id".as_slice()) && after("--restart-epoch").is_none() {
            return None;
        }
        let place = || {
            let (base, epoch) = (text("--base-id")?.parse().ok()?, text("--restart-epoch")?.parse().ok()?);
            Some(Place { base, epoch, socket: path("--socket-path")? })
        };
        let node = text("--service-node").unwrap_or(UNNAMED).to_owned();
        Some(Self { config: path("-c")?, node, place: place() })
    }
}

fn number(content: &[u8]) -> u64 {
    let sum = digest(&SHA256, content);
    u64::from_be_bytes(*sum.as_ref().first_chunk().unwrap_or(&[0; 8]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn setup(state: &Path, version: &str, bootstrap: &[u8]) -> Setup {
        Setup::new("envoy".into(), version, state, Path::new("/run/sockets"), bootstrap)
    }

    fn read(arguments: &[OsString]) -> Option<Started> {
        let words: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
        Started::read(&words)
    }

    #[test]
    fn what_is_started_with_is_read_again() {
        let state = tempfile::tempdir().unwrap();
        let setup = setup(state.path(), "1.40.0", b"{}");
        let place = Place { base: 12, epoch: 3, socket: "/run/sockets/h".into() };
        let started = read(&setup.arguments(Some(&place))).unwrap();
        assert_eq!(started.config, state.path().join(CONFIG));
        assert_eq!((&started.node, started.epoch()), (&setup.node, 3));
        let next = started.place.unwrap().next();
        assert_eq!(read(&setup.arguments(Some(&next))).unwrap().epoch(), 4);
        let alone = read(&setup.arguments(None)).unwrap();
        assert_eq!((alone.node, alone.place), (setup.node, None));
        let earlier = ["-c", "/s/envoy.json", "--use-dynamic-base-id", "--disable-hot-restart"];
        let earlier = read(&earlier.map(OsString::from)).unwrap();
        assert_eq!((&*earlier.node, earlier.place), ("portolan", None));
        assert_eq!(read(&["-c", "/s/envoy.json"].map(OsString::from)), None, "somebody else's");
    }

    #[test]
    fn another_program_or_start_configuration_is_another_node() {
        let state = tempfile::tempdir().unwrap();
        let node = |version: &str, bootstrap: &[u8]| setup(state.path(), version, bootstrap).node;
        assert_eq!(node("1.40.0", b"{}"), node("1.40.0", b"{}"));
        assert_ne!(node("1.40.0", b"{}"), node("1.40.1", b"{}"));
        assert_ne!(node("1.40.0", b"{}"), node("1.40.0", b"{\"a\":1}"));
        // A folder of sockets whose paths would be too long for Envoy's: it is started so that none takes over from it.
        let long =
            Setup { sockets: PathBuf::from("/").join("x".repeat(90)), ..setup(state.path(), "1", b"") };
        assert_eq!(long.first(), None);
    }
}

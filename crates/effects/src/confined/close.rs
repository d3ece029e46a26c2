//! Gives up what the program may not do, and becomes it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use rustix::process::{Resource, Rlimit, Signal};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{Rules, STARTED_BY, STARTS};

/// What a program is loaded from; nothing of a user stands there.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/alternatives",
];

/// System calls that reach what Landlock does not hold: sockets of every family, keys of the user, memory of other
/// processes. New processes are refused with them (`hold_calls`): a limit of their number is none for root.
const REFUSED: [libc::c_long; 21] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
];

/// Never returns where it succeeds.
pub(super) fn become_program(rules: &Rules, program: &[OsString]) -> Result<Infallible, String> {
    let wrong = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let [program, args @ ..] = program else { return Err("no program is named".to_owned()) };
    end_with(rules.parent)?;
    for (resource, most) in [
        (Resource::Data, rules.memory),
        (Resource::Fsize, rules.output),
        (Resource::Core, 0),
        (Resource::Cpu, rules.seconds.saturating_mul(4).max(1)),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(|why| wrong("it cannot be bounded", &why))?;
    }
    hold_files(rules, Path::new(program)).map_err(|why| wrong("it cannot be closed in", &why))?;
    hold_calls(rules.starts.is_some(), !rules.connect.is_empty())
        .map_err(|why| wrong("it cannot be closed in", &why))?;
    let mut command = Command::new(program);
    if let Some([_, starts]) = &rules.starts {
        // It is this process.
        command.env(STARTS, starts).env(STARTED_BY, std::process::id().to_string());
    }
    let why: io::Error = command.args(args).exec();
    Err(why.to_string())
}

/// The same for a program that one which is closed in has started.
pub(super) fn become_started(
    program: &OsStr,
    parent: &OsStr,
    args: impl Iterator<Item = OsString>,
) -> Result<Infallible, String> {
    let parent = parent.to_str().and_then(|text| text.parse().ok());
    end_with(parent.ok_or("who started it is not known")?)?;
    let why: io::Error = Command::new(program).args(args).env_remove(STARTS).env_remove(STARTED_BY).exec();
    Err(why.to_string())
}

/// Ends this process with its parent, which is `parent`.
fn end_with(parent: i32) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|why| format!("its end cannot be bound to that of who started it: {why}"))?;
    if rustix::process::getppid().map(rustix::process::Pid::as_raw_pid) != Some(parent) {
        return Err("who started it has ended".to_owned());
    }
    Ok(())
}

fn hold_files(rules: &Rules, program: &Path) -> Result<(), landlock::RulesetError> {
    let abi = ABI::V6;
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let mut set = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let file = AccessFs::from_file(abi);
    let mut allowed: Vec<(PathBuf, _)> = vec![(program.to_owned(), read & file)];
    allowed.extend(rules.write.iter().map(|path| (path.clone(), all)));
    allowed.push(("/dev/null".into(), (AccessFs::ReadFile | AccessFs::WriteFile) & file));
    // Nothing of what is only read is run.
    allowed.extend(rules.read.iter().map(|path| (path.clone(), read & !AccessFs::Execute)));
    allowed.extend(rules.starts.iter().flatten().map(|path| (path.clone(), read & file)));
    allowed.extend(SYSTEM.iter().map(|path| ((*path).into(), read)));
    for (path, access) in allowed {
        // What is not there need not be allowed.
        let Ok(open) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { access } else { access & file };
        set = set.add_rule(PathBeneath::new(open, access))?;
    }
    for port in &rules.connect {
        set = set.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    set.restrict_self()?;
    Ok(())
}

/// `starts`: other programs may be started. `connects`: connections of TCP may be opened; to which ports Landlock says.
fn hold_calls(starts: bool, connects: bool) -> Result<(), String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    if connects {
        rules.insert(libc::SYS_socket, other_sockets().map_err(|why| why.to_string())?);
    }
    if starts {
        // They stay in the group that is ended with it.
        rules.extend([libc::SYS_setsid, libc::SYS_setpgid].map(|call| (call, Vec::new())));
        return refuse(rules, libc::EACCES);
    }
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_fork, libc::SYS_vfork].map(|call| (call, Vec::new())));
    // What is no thread of this process is another process.
    let thread = libc::CLONE_THREAD.unsigned_abs().into();
    let other = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0);
    let other = other.and_then(|other| SeccompRule::new(vec![other])).map_err(|why| why.to_string())?;
    rules.insert(libc::SYS_clone, vec![other]);
    // EACCES: what Landlock says too, so that programs tell it in the same words.
    refuse(rules, libc::EACCES)?;
    // Its flags stand in memory, where no filter looks; who is told that it is not there takes the older call.
    refuse([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS)
}

/// All sockets but those of TCP: what else there is Landlock does not hold.
fn other_sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let is = |argument, operator, value: libc::c_int| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.unsigned_abs().into())
    };
    let ne = || SeccompCmpOp::Ne;
    let mut rules = vec![SeccompRule::new(vec![is(0, ne(), libc::AF_INET)?, is(0, ne(), libc::AF_INET6)?])?];
    // The kinds of sockets below the flags (`SOCK_TYPE_MASK`), but for streams.
    for kind in (0..16).filter(|kind| *kind != libc::SOCK_STREAM) {
        rules.push(SeccompRule::new(vec![is(1, SeccompCmpOp::MaskedEq(0xf), kind)?])?);
    }
    // Streams that are not TCP's: SCTP, MPTCP.
    rules.push(SeccompRule::new(vec![is(2, ne(), 0)?, is(2, ne(), libc::IPPROTO_TCP)?])?);
    Ok(rules)
}

fn refuse(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<(), String> {
    let arch = std::env::consts::ARCH.try_into().map_err(|why| format!("{why}"))?;
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let filter = filter.and_then(seccompiler::BpfProgram::try_from).map_err(|why| why.to_string())?;
    seccompiler::apply_filter(&filter).map_err(|why| why.to_string())
}

/// What this kernel cannot hold, as a sentence; `None` where all is held.
pub fn weakness() -> Option<&'static str> {
    let files = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create);
    files.is_err().then_some(
        "this kernel has no Landlock (Linux 5.13 and on): programs that render a repository are kept from the network, \
         and can read the files of this user",
    )
}

/// What this kernel cannot hold of a program that may open connections, as a sentence; `None` where all is held.
pub fn weakness_of_connections() -> Option<&'static str> {
    let ports = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessNet::from_all(ABI::V4))
        .and_then(Ruleset::create);
    ports.is_err().then_some(
        "this kernel has no Landlock for ports (Linux 6.7 and on): where an index or a redirect of a chart repository names this \
         machine, Helm asks it",
    )
}

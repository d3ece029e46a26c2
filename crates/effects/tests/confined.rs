//! Programs that are closed in, tried with programs of the test's own that do what no input may make them do.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use portolan_effects::confined::run::{self, Ended, Limits, Run, Stopped};

const THROUGH: &str = env!("CARGO_BIN_EXE_portolan-confined");

/// What a shell does when it is closed in and may read `read`.
fn shell(script: &str, read: &[&Path], limits: Limits) -> Result<Ended, Stopped> {
    let run = Run {
        through: Path::new(THROUGH),
        program: Path::new("/bin/bash"),
        starts: None,
        args: vec!["-c".into(), script.into()],
        read: read.iter().map(|path| (*path).to_owned()).collect(),
        write: None,
        connect: Vec::new(),
        folders: &["CACHE"],
        env: vec![("GIVEN", "1".into())],
        limits,
    };
    run.ended()
}

fn said(script: &str, read: &[&Path]) -> String {
    let ended = shell(script, read, Limits::default()).unwrap();
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

#[test]
fn it_reads_what_it_is_given_and_writes_into_a_folder_of_its_own() {
    let copy = run::copy([(Path::new("a/b"), &b"given\n"[..])]).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "of the user").unwrap();
    let (given, out) = (copy.path().display(), outside.path().display());
    // No command but the shell's own: it starts no other program.
    let script = format!(
        "show() {{ for f in \"$@\"; do {{ [ -r $f ] && read -r x <$f && echo \"$x\"; }} 2>/dev/null; done; }}
         show {given}/a/b; show {out}/secret /etc/passwd /etc/hostname /proc/self/environ /proc/$PPID/environ
         for d in / /home /root /tmp {out}; do set -- $d/*; [ -e $1 ] && echo $1; done
         for f in {given}/a/b {given}/new {out}/new /dev/shm/portolan-confined; do {{ echo x >$f; }} 2>/dev/null; done
         echo own >$TMPDIR/x && show $TMPDIR/x; echo here >w; show $PWD/w; [ -w $CACHE ] && echo cache
         set -- $HOME/*; [ -e $1 ] || echo home"
    );
    assert_eq!(said(&script, &[copy.path()]), "given\nown\nhere\ncache\nhome");
    assert_eq!(fs::read_to_string(copy.path().join("a/b")).unwrap(), "given\n");
    assert!(!outside.path().join("new").exists() && !Path::new("/dev/shm/portolan-confined").exists());
}

#[test]
fn it_opens_no_socket_of_any_kind() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let script = format!(
        "{{ echo x >/dev/tcp/127.0.0.1/{tcp_port}; }} 2>&1; {{ echo x >/dev/udp/127.0.0.1/{udp_port}; }} 2>&1; echo end"
    );
    let said = said(&script, &[]);
    assert!(said.ends_with("end") && said.matches("Permission denied").count() >= 2, "{said}");
    assert!(tcp.accept().is_err() && udp.recv(&mut [0; 8]).is_err());
    // What is neither TCP nor UDP: a Unix socket that anybody may connect to.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    unix.set_nonblocking(true).unwrap();
    let python = format!(
        "import socket\nfor f in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):\n  \
         try:\n    s = socket.socket(f, socket.SOCK_STREAM)\n    print('open', f)\n    s.connect({:?})\n  \
         except Exception as e:\n    pass\nprint('end')",
        path.display().to_string()
    );
    let program = Path::new("/usr/bin/python3");
    if program.is_file() {
        let run = Run {
            through: Path::new(THROUGH),
            program,
            starts: None,
            args: vec!["-c".into(), python.into()],
            read: vec![],
            write: None,
            connect: Vec::new(),
            folders: &[],
            env: vec![],
            limits: Limits::default(),
        };
        let ended = run.ended().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), "end", "{ended:?}");
    }
    assert!(unix.accept().is_err());
}

#[test]
fn with_a_port_it_connects_to_that_one_by_tcp_and_to_nothing_else() {
    let (given, other) = (
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for listener in [&given, &other] {
        listener.set_nonblocking(true).unwrap();
    }
    udp.set_nonblocking(true).unwrap();
    let port = |address: std::io::Result<std::net::SocketAddr>| address.unwrap().port();
    let (a, b, c) = (port(given.local_addr()), port(other.local_addr()), port(udp.local_addr()));
    let script = format!(
        "for to in tcp/127.0.0.1/{a} tcp/127.0.0.1/{b} udp/127.0.0.1/{c} udp/127.0.0.1/{a}; do
           {{ exec 3<>/dev/$to && echo $to; }} 2>/dev/null; done; echo end"
    );
    let kept = tempfile::tempdir().unwrap();
    let run = Run {
        through: Path::new(THROUGH),
        program: Path::new("/bin/bash"),
        starts: None,
        args: vec!["-c".into(), format!("{script}; echo x >{}/x", kept.path().display()).into()],
        read: vec![],
        write: Some(kept.path().to_owned()),
        connect: vec![a],
        folders: &[],
        env: vec![],
        limits: Limits::default(),
    };
    let ended = run.ended().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains(&format!("tcp/127.0.0.1/{a}")) && said.ends_with("end\n"), "{ended:?}");
    assert!(!said.contains("udp") && udp.recv(&mut [0]).is_err(), "{said}");
    assert!(given.accept().is_ok() && kept.path().join("x").is_file());
    if portolan_effects::confined::weakness_of_connections().is_none() {
        assert!(other.accept().is_err() && !said.contains(&b.to_string()), "{said}");
    }
}

#[test]
fn it_is_told_nothing_and_its_end_is_told() {
    let env = said("compgen -e", &[]);
    let env: Vec<&str> = env.lines().filter(|name| !["OLDPWD", "PWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(env, ["CACHE", "GIVEN", "HOME", "TMPDIR"]);
    let ended = shell("echo out; echo err >&2; exit 3", &[], Limits::default()).unwrap();
    assert!(!ended.success);
    assert_eq!((&*ended.stdout, &*ended.stderr), (&b"out\n"[..], &b"err\n"[..]));
    let run = Run {
        through: Path::new(THROUGH),
        program: Path::new("/no/such/program"),
        starts: None,
        args: vec![],
        read: vec![],
        write: None,
        connect: Vec::new(),
        folders: &[],
        env: vec![],
        limits: Limits::default(),
    };
    assert!(run.ended().unwrap_err().why.starts_with("cannot be run: "));
    let stopped = shell("kill -9 $$", &[], Limits::default()).unwrap_err();
    assert!(stopped.why.contains("signal"), "{stopped:?}");
}

#[test]
fn it_is_bounded_in_time_output_and_memory_and_starts_no_other() {
    let limits = Limits { time: Duration::from_secs(1), ..Limits::default() };
    let stopped = |script: &str, limits| shell(script, &[], limits).unwrap_err().why;
    assert_eq!(stopped("exec sleep 600", limits), "takes longer than 1 s");
    assert_eq!(stopped("while :; do :; done", limits), "takes longer than 1 s");
    assert_eq!(stopped("trap '' XCPU TERM; while :; do :; done", limits), "takes longer than 1 s");
    let limits = Limits { output: 1 << 20, ..Limits::default() };
    assert_eq!(
        stopped("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", limits),
        "prints more than 1 MiB"
    );
    let ended = shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done >f; echo end", &[], limits);
    assert!(ended.is_err() || !ended.unwrap().success, "a file may not grow without end either");
    let ended = shell("sleep 600 & /bin/true; echo end", &[], Limits::default()).unwrap();
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(text.contains("fork: Permission denied"), "it starts others: {text}");
    let limits = Limits { memory: 64 << 20, ..Limits::default() };
    assert_eq!(
        stopped("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done", limits),
        "takes more than 64 MiB of memory"
    );
}

#[test]
fn what_it_may_start_is_held_by_the_same_rules_and_ends_with_it() {
    let mark = format!("portolan-started-{}", std::process::id());
    let script = format!(
        "bash -c 'read -r x </etc/passwd && echo read; : >/dev/tcp/127.0.0.1/9; exec -a {mark} sleep 600' & sleep 1; echo $!"
    );
    let run = Run {
        through: Path::new(THROUGH),
        program: Path::new("/bin/bash"),
        starts: Some("/bin/sleep".into()),
        args: vec!["-c".into(), script.into()],
        read: vec![],
        write: None,
        connect: Vec::new(),
        folders: &[],
        env: vec![],
        limits: Limits::default(),
    };
    let ended = run.ended().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(
        ended.success && !out.contains("read") && err.matches("Permission denied").count() >= 2,
        "{out}{err}"
    );
    until("it outlived what started it", || running(&mark).is_empty());
}

/// Processes whose command line holds the mark.
fn running(mark: &str) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let mut text = Vec::new();
        let read = fs::File::open(path.join("cmdline")).and_then(|mut file| file.read_to_end(&mut text));
        read.is_ok() && String::from_utf8_lossy(&text).contains(mark)
    };
    all.filter(ours).collect()
}

fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..1500 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}");
}

/// The test again as the program that starts it, which is then killed.
#[test]
fn it_ends_when_who_started_it_is_killed() {
    let mark = format!("portolan-mark-{}", std::process::id());
    let script = |mark: &str| format!("trap '' TERM HUP INT; exec -a {mark} sleep 600");
    killed_starter("it_ends_when_who_started_it_is_killed", &mark, script, None);
}

#[test]
fn what_it_started_ends_when_who_started_all_is_killed() {
    // What sleep takes for a number that nobody else sleeps.
    let mark = format!("600.{}", std::process::id());
    // The shell's own command line does not hold it.
    let script = |mark: &str| format!("x=600; {THROUGH} {}; :", mark.replace("600.", "$x."));
    let test = "what_it_started_ends_when_who_started_all_is_killed";
    killed_starter(test, &mark, script, Some("/bin/sleep"));
}

/// Starts this program once more for the test of this name; there the script is run.
fn killed_starter(test: &str, mark: &str, script: fn(&str) -> String, starts: Option<&str>) {
    const ASKED: &str = "PORTOLAN_TEST_STARTS";
    if let Some(mark) = std::env::var_os(ASKED) {
        let run = Run {
            through: Path::new(THROUGH),
            program: Path::new("/bin/bash"),
            starts: starts.map(Into::into),
            args: vec!["-c".into(), script(mark.to_str().unwrap()).into()],
            read: vec![],
            write: None,
            connect: Vec::new(),
            folders: &[],
            env: vec![],
            limits: Limits { time: Duration::from_secs(500), ..Limits::default() },
        };
        let _ = run.ended();
        return;
    }
    let own = std::env::current_exe().unwrap();
    let mut starter =
        Command::new(own).args(["--exact", test]).env(ASKED, mark).stdout(Stdio::null()).spawn().unwrap();
    until("it did not start", || !running(mark).is_empty());
    starter.kill().unwrap();
    starter.wait().unwrap();
    until("something outlived who started it", || running(mark).is_empty());
}

/// A program under strace, beside which it has its own folder only.
struct Watched {
    program: PathBuf,
    /// Holds the log of strace, and the script that starts it.
    outside: tempfile::TempDir,
}

impl Watched {
    /// `None` after saying that the suite is skipped.
    fn new(program: &str) -> Option<Self> {
        let (Some(strace), Some(program)) =
            (portolan_testkit::program("strace"), portolan_testkit::program(program))
        else {
            portolan_testkit::skip("effects/confined strace", &format!("strace or {program} was not found"));
            return None;
        };
        let made = Self { program, outside: tempfile::tempdir().unwrap() };
        // Beside, so that the parent is who it has to be.
        let script = format!(
            "#!/bin/sh\nexec {} -D -f -o {} -e trace=execve,open,openat,openat2,socket,connect {THROUGH} \"$@\"\n",
            strace.display(),
            made.log().display()
        );
        fs::write(made.through(), script).unwrap();
        fs::set_permissions(made.through(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(made)
    }

    fn log(&self) -> PathBuf {
        self.outside.path().join("log")
    }

    fn through(&self) -> PathBuf {
        self.outside.path().join("through")
    }

    /// Runs it on a copy, and looks at each file that it opened; gives whether it succeeded, and what it said.
    fn run(&self, copy: &Path, args: Vec<std::ffi::OsString>) -> (bool, String) {
        let run = Run {
            write: None,
            connect: Vec::new(),
            through: &self.through(),
            program: &self.program,
            starts: None,
            args,
            read: vec![copy.to_owned()],
            folders: &[
                "HELM_CACHE_HOME",
                "HELM_CONFIG_HOME",
                "HELM_DATA_HOME",
                "HELM_PLUGINS",
                "XDG_CONFIG_HOME",
            ],
            env: vec![],
            limits: Limits::default(),
        };
        let ended = run.ended().unwrap();
        // What strace saw last it writes a little later.
        let whole = || fs::read_to_string(self.log()).is_ok_and(|text| text.contains("+++ exited with"));
        until("strace did not end", whole);
        let text = fs::read_to_string(self.log()).unwrap();
        let program = self.program.canonicalize().unwrap();
        let opened = opened(&text, &program);
        assert!(opened.iter().any(|path| path.starts_with(copy)), "nothing was seen: {text}");
        let own = copy.parent().unwrap().join("portolan-run");
        let system = ["/usr/", "/lib/", "/lib64/", "/etc/ld.so", "/dev/null"];
        for path in &opened {
            // The rules are about what a link leads to.
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            let name = path.to_str().unwrap();
            let given = path.starts_with(copy)
                || path == program
                || name.starts_with(own.to_str().unwrap())
                || system.iter().any(|start| name.starts_with(start));
            assert!(given, "{name} was opened");
        }
        let socket = text.lines().find(|line| line.contains("socket(") && !line.contains("= -1"));
        assert_eq!(socket, None);
        (ended.success, String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}

/// The real Helm under strace: every file that it opened is the copy, its own folder, itself or the system's.
#[test]
fn every_file_that_helm_opens_is_one_that_it_was_given() {
    let Some(helm) = Watched::new("helm") else { return };
    let chart: [(&str, &str); 5] = [
        ("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("chart/values.yaml", "a: {b: 1}\n"),
        // What no path in a chart leads to.
        ("chart/values.schema.json", "{\"properties\": {\"a\": {\"$ref\": \"file:///etc/passwd\"}}}"),
        ("chart/templates/a.yaml", "a: {{ .Files.Get \"../../../../etc/passwd\" | quote }}\n"),
        ("values.yaml", "c: 1\n"),
    ];
    let copy = run::copy(chart.iter().map(|(path, text)| (Path::new(path), text.as_bytes()))).unwrap();
    let at = |path: &str| copy.path().join(path).into_os_string();
    for skip in [false, true] {
        let mut args = vec!["template".into(), "r".into(), at("chart"), "--values".into(), at("values.yaml")];
        args.extend(skip.then(|| "--skip-schema-validation".into()));
        // What a name of a file parameter could bring, were it not refused before.
        args.extend((!skip).then(|| ["--set-file".into(), "leak=/etc/passwd".into()]).into_iter().flatten());
        let (success, said) = helm.run(copy.path(), args);
        assert_eq!(success, skip, "{said}");
    }
}

/// The same of the real Kustomize, which is told to look wherever it likes.
#[test]
fn every_file_that_kustomize_opens_is_one_that_it_was_given() {
    let Some(kustomize) = Watched::new("kustomize") else { return };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let generator = "configMapGenerator: [{name: leak, files: [/etc/passwd]}]\n";
    for (more, success) in [
        ("", true),
        (generator, false),
        ("patches: [{path: ../../../../etc/passwd}]\n", false),
        ("openapi: {path: /etc/passwd}\n", false),
        ("components: [/etc]\n", false),
    ] {
        let kustomization = format!("resources: [a.yaml]\n{more}");
        let files = [("k/kustomization.yaml", kustomization.as_str()), ("k/a.yaml", map)];
        let copy = run::copy(files.iter().map(|(path, text)| (Path::new(path), text.as_bytes()))).unwrap();
        let mut args = vec!["build".into(), copy.path().join("k").into_os_string()];
        // Its own bar against what lies outside is taken away: ours has to hold.
        args.push("--load-restrictor=LoadRestrictionsNone".into());
        let (did, said) = kustomize.run(copy.path(), args);
        assert_eq!(did, success, "{more}: {said}");
    }
}

/// Paths that were opened since the program became `program`; what was refused is not among them.
fn opened(log: &str, program: &Path) -> Vec<PathBuf> {
    let became = format!("execve(\"{}\"", program.display());
    let start = log.lines().position(|line| line.contains(&became)).expect("it was run");
    let done = log.lines().skip(start + 1).filter(|line| !line.contains("= -1 ") && line.contains("open"));
    done.filter_map(|line| Some(PathBuf::from(line.split('"').nth(1)?))).collect()
}

//! Files that are being written, and files and folders that cannot be read: nothing that stood in them goes.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps};

/// Cut and filled again in parts, as an editor, `cp` or `helm template >` does it, and emptied for a moment.
#[test]
fn a_file_that_is_written_slowly_takes_nothing_down() {
    let Some(envoy) = envoy("e2e slow file") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (client, url) = (instance.client(&entry), entry["url"].as_str().unwrap().to_owned());
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match client.get(&url).send() {
                    Ok(answer) if answer.status() == 200 => {}
                    other => failed.push(format!("{other:?}")),
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            failed
        })
    };
    for name in ["gateway.yaml", "team-a.yaml", "certificates.yaml"] {
        let path = instance.dir.path().join(name);
        let text = std::fs::read(&path).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        for part in text.chunks(text.len().div_ceil(4)) {
            file.write_all(part).unwrap();
            // Something else changes meanwhile, and is taken.
            let other = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{}, namespace: team-a}}\n",
                part.len()
            );
            instance.write("other.yaml", &other);
            std::thread::sleep(Duration::from_millis(200));
            assert!(instance.entry("app1.dev.example.com").is_some(), "{name}");
        }
        drop(file);
        // Emptied by one program, and filled by another.
        std::fs::write(&path, "").unwrap();
        std::thread::sleep(Duration::from_millis(400));
        instance.write("other.yaml", "");
        std::thread::sleep(Duration::from_millis(100));
        std::fs::write(&path, &text).unwrap();
    }
    let fresh = std::fs::read_to_string(instance.dir.path().join("team-a.yaml")).unwrap();
    let route = fresh.split("---").find(|text| text.contains("kind: HTTPRoute")).unwrap();
    let route = route.replacen("name: app1\n", "name: app2\n", 1).replace("app1.dev.", "app2.dev.");
    instance.write("new.yaml", &route);
    instance.reach("app2.dev.example.com", "live");
    stop.store(true, Ordering::Relaxed);
    let failed = asking.join().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    let log = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    assert!(!log.contains("gone"), "{log}");
    // What stays empty is empty.
    std::fs::write(instance.dir.path().join("new.yaml"), "").unwrap();
    instance.wait("app2 to go", || instance.entry("app2.dev.example.com").is_none().then_some(()));
}

/// Whatever the reason, what cannot be read stays as it was and is a finding; once it can be read, that is seen by itself.
#[test]
fn what_cannot_be_read_removes_nothing() {
    let Some(envoy) = envoy("e2e unreadable") else { return };
    let dir = first_steps();
    let sub = dir.path().join("team");
    std::fs::create_dir(&sub).unwrap();
    std::fs::rename(dir.path().join("team-a.yaml"), sub.join("team-a.yaml")).unwrap();
    // Root reads everything, unless it has given that up.
    let mut instance = Instance::start_without_override(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    let finding = |instance: &Instance| -> Option<Value> {
        let status = instance.status();
        status["findings"].as_array()?.iter().find(|f| f["code"] == "PTL-0010").cloned()
    };
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in [sub.clone(), sub.join("team-a.yaml")] {
        let open = std::fs::metadata(&path).unwrap().permissions().mode();
        mode(&path, 0);
        // An edit elsewhere, so that the folder is looked at in any case.
        instance
            .write("other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: team-a}\n");
        let found = instance.wait("the finding", || finding(&instance));
        assert!(found["object"].as_str().unwrap().contains("team"), "{found}");
        assert_eq!(instance.entry("app1.dev.example.com").unwrap()["state"], "live");
        // Not known where things stood, after a restart: all the same.
        instance.kill_nine();
        instance.up();
        instance.wait("the finding again", || finding(&instance));
        instance.reach("app1.dev.example.com", "live");
        mode(&path, open);
        instance.wait("the finding to go", || finding(&instance).is_none().then_some(()));
        instance.reach("app1.dev.example.com", "live");
    }
}

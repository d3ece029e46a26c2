//! The work tree: the example of the first steps, and hosts in files of a team's size.

use std::{fmt::Write as _, path::Path};

use portolan_testkit::suites;

/// Hosts of one file.
const PER_FILE: usize = 10;
/// The host that is edited.
pub const EDITED: &str = "h0.dev.example.com";

/// Answers of the edited host come from the harness itself: what is measured of Portolan is then its work for the edit,
/// and not that of its stand-in backend for the questions that are asked meanwhile.
pub struct Tree<'a> {
    pub dir: &'a Path,
    pub hosts: usize,
    /// Ports of two backends of the harness.
    pub backends: [u16; 2],
}

impl Tree<'_> {
    /// The whole tree, for the first time.
    pub fn make(&self) {
        for entry in std::fs::read_dir(suites::repository().join("examples/first-steps")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, self.dir.join(path.file_name().unwrap())).unwrap();
        }
        let mut text = String::new();
        for (name, port) in ["left", "right"].iter().zip(self.backends) {
            write!(
                text,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: team-a}}\nspec: {{ports: [{{port: 80}}]}}\n\
                 ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}-1\n  namespace: team-a\n  \
                 labels: {{kubernetes.io/service-name: {name}}}\naddressType: IPv4\nports: [{{name: \"\", port: {port}, protocol: \
                 TCP}}]\nendpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
            )
            .unwrap();
        }
        self.replace("backends.yaml", &text);
        for file in 0..self.hosts.div_ceil(PER_FILE) {
            self.write_file(file, 0, 0);
        }
    }

    /// Writes the file of the edited host anew. Its answers name the edit; they come from `left` after even edits and from
    /// `right` after odd ones. The answers of the file's other hosts name the edit `others`: as before, or they change too.
    pub fn edit(&self, edit: usize, others: usize) {
        self.write_file(0, edit, others);
    }

    fn write_file(&self, file: usize, edit: usize, others: usize) {
        let mut text = String::new();
        for n in file * PER_FILE..((file + 1) * PER_FILE).min(self.hosts) {
            let backend = match n {
                0 => ["left", "right"][edit % 2].to_owned(),
                _ => format!("s{n}"),
            };
            let edit = if n == 0 { edit } else { others };
            // The order of the rules changes too: both have the same meaning for the request that is asked.
            let rule = |path: &str| {
                format!(
                    "    - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]\n      filters:\n        - type: \
                     ResponseHeaderModifier\n          responseHeaderModifier:\n            set: [{{name: x-edit, value: \
                     \"{edit}\"}}]\n      backendRefs: [{{name: {backend}, port: 80}}]\n"
                )
            };
            let rules = match (n, edit % 4) {
                (0, 0 | 1) => rule("/") + &rule("/a"),
                (0, _) => rule("/a") + &rule("/"),
                _ => rule("/"),
            };
            write!(
                text,
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: team-a}}\nspec:\n  ports:\n    - port: 80\n\
                 ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: team-a}}\nspec:\n  \
                 parentRefs:\n    - name: shared\n      namespace: gateway-system\n      sectionName: https\n  hostnames:\n    - \
                 h{n}.dev.example.com\n  rules:\n{rules}"
            )
            .unwrap();
        }
        self.replace(&format!("hosts-{file:05}.yaml"), &text);
    }

    /// One host with as many rules, in routes of 16 rules each.
    pub fn rules(&self, host: &str, rules: usize) {
        let mut text = String::new();
        for (route, first) in (0..rules).step_by(16).enumerate() {
            write!(
                text,
                "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {host}-{route}, namespace: \
                 team-a}}\nspec:\n  parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: \
                 [{host}.dev.example.com]\n  rules:\n"
            )
            .unwrap();
            for rule in first..(first + 16).min(rules) {
                writeln!(
                    text,
                    "    - {{matches: [{{path: {{type: PathPrefix, value: /p{rule}}}}}], backendRefs: [{{name: left, port: 80}}]}}"
                )
                .unwrap();
            }
        }
        self.replace(&format!("{host}.yaml"), &text);
    }

    /// As editors and Git do it: beside the file, then in its place.
    fn replace(&self, file: &str, text: &str) {
        let made = self.dir.join(format!(".{file}.new"));
        std::fs::write(&made, text).unwrap();
        std::fs::rename(made, self.dir.join(file)).unwrap();
    }
}

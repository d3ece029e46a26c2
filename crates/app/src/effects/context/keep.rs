//! Small files of the state directory. A disk that refuses them is a finding; what is served stays, and it is tried again.

use portolan_model::{Code, ObjectKey, Problem, Severity, input::SourceProblems};

use super::{Context, Platform};

impl<P: Platform> Context<P> {
    /// Writes a file of the state directory; what cannot be written now is written later.
    pub fn keep(&mut self, file: &'static str, bytes: Vec<u8>) {
        let path = self.state.path().join(file).display().to_string();
        let key = ObjectKey::new("", "File", "", path.clone());
        if let Err(error) = self.state.write(file, &bytes) {
            tracing::error!(%error, path, "a file of the state cannot be written");
            self.unkept.insert(file, bytes);
            self.unwritten = true;
            let problem = Problem {
                object: key.clone(),
                code: Code(102),
                field: "".into(),
                severity: Severity::Error,
                message: format!("{error}; what is served is not affected"),
                hint: "free space on the disk, or make it writable; it is tried again every five seconds"
                    .into(),
            };
            self.engine.put(SourceProblems { key, problems: vec![problem] });
            self.facts = true;
        } else if self.unkept.remove(file).is_some() {
            self.engine.remove::<SourceProblems>(&key);
            self.facts = true;
        }
    }

    /// Tries again what could not be written.
    pub fn keep_again(&mut self) {
        for (file, bytes) in self.unkept.clone() {
            self.keep(file, bytes);
        }
    }
}

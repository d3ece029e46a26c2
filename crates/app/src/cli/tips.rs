//! Words of other programs that people type here, and what does the same.

/// What to type for a verb that there is not.
pub fn of(word: &str) -> Option<&'static str> {
    Some(match word {
        "stop" | "kill" | "quit" | "shutdown" => "stop the running instance with: portolan down",
        "start" | "serve" | "dev" => "bring up a folder or a Git checkout with: portolan up DIR --env NAME",
        "logs" | "log" => {
            "what happened to objects is shown by: portolan get events; for a log of Portolan itself set PORTOLAN_LOG=debug before `portolan up`"
        }
        "events" => "write: portolan get events",
        "version" => "write: portolan --version",
        "apply" | "sync" => {
            "an edit is taken when its file is saved, while `portolan up DIR` runs; what stays is let go by: portolan prune"
        }
        "diff" | "plan" | "lint" | "validate" | "check" | "template" | "build" => {
            "what a repository wants, and what would be refused, is shown by: portolan render DIR --env NAME"
        }
        "describe" => "write: portolan get KIND NAME -o yaml, or for a hostname: portolan explain HOST",
        "ls" | "list" | "ps" | "hosts" => "write: portolan status",
        _ => return None,
    })
}

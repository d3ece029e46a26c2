//! Says when a work tree changes.

use std::path::Path;

/// Says when something below `root` changed. Bursts arrive as one wake-up.
///
/// # Errors
/// When the folder cannot be watched.
pub fn watch(root: &Path) -> notify::Result<(notify::RecommendedWatcher, tokio::sync::mpsc::Receiver<()>)> {
    use notify::Watcher as _;
    let (wake, woken) = tokio::sync::mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let relevant = event.is_ok_and(|event| {
            !matches!(event.kind, notify::EventKind::Access(_))
                && event.paths.iter().any(|path| {
                    // Charts may read any file. What editors leave beside a file is not read by anybody.
                    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                    let left = name.starts_with(b".#") || name.ends_with(b"~") || name.ends_with(b".swp");
                    !left && !path.components().any(|c| c.as_os_str() == ".git")
                })
        });
        if relevant {
            let _ = wake.try_send(());
        }
    })?;
    watcher.watch(root, notify::RecursiveMode::Recursive)?;
    Ok((watcher, woken))
}

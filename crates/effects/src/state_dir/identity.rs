//! Which directory a state is, and on which boot of the machine: what one records of processes and sockets is void in a
//! copy of it.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use serde::{Deserialize, Serialize};

/// A directory, told from every copy of it. One that is renamed stays itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
    /// Numbers of processes, devices and inodes in memory are given anew with each.
    boot: String,
}

impl Identity {
    /// Of a directory, now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let meta = fs::metadata(dir)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Self { device: meta.dev(), inode: meta.ino(), boot })
    }

    /// Whether what holds this identity was written for the directory, on this boot.
    pub fn is(&self, dir: &Path) -> bool {
        Self::of(dir).is_ok_and(|now| now == *self)
    }

    /// The same as one line of text.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.device, self.inode, self.boot)
    }

    /// Reads [`Self::line`].
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (device, inode, boot) = (words.next()?, words.next()?, words.next()?);
        Some(Self { device: device.parse().ok()?, inode: inode.parse().ok()?, boot: boot.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_copy_is_another_and_a_renamed_one_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("state")).unwrap();
        fs::create_dir(at("copy")).unwrap();
        let written = Identity::of(&at("state")).unwrap();
        assert_eq!(Identity::read(&written.line()), Some(written.clone()));
        assert!(written.is(&at("state")) && !written.is(&at("copy")) && !written.is(&at("nothing")));
        fs::rename(at("state"), at("moved")).unwrap();
        assert!(written.is(&at("moved")));
        let other_boot = Identity { boot: "earlier".into(), ..written };
        assert!(!other_boot.is(&at("moved")));
        for bad in ["", "1 2", "a b c"] {
            assert_eq!(Identity::read(bad), None, "{bad}");
        }
    }
}

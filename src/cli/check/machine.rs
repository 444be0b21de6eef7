//! Checks of the machine: folder, disk, open files, the kernel's queue.
use std::fs;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;
use crate::config::Config;
use crate::{app, transport};

/// Free bytes below which the server will soon be unable to store.
const DISK_ADVISED: u64 = 1 << 30;
/// Free bytes below which it may not even start.
const DISK_LEAST: u64 = 50 << 20;

/// Returns the folder, or its nearest existing parent.
pub(super) fn existing(path: &Path) -> &Path {
    let nearest = path.ancestors().find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists());
    nearest.unwrap_or(Path::new(if path.is_absolute() { "/" } else { "." }))
}

pub(super) fn may_write(path: &Path) -> bool {
    access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

pub(super) fn folder(config: &Config) -> Finding {
    let (wanted, there) = (&config.data_dir, existing(&config.data_dir));
    let mend = "give it to the user that serves, or set DATA_DIR to a folder that can be written";
    if !there.is_dir() {
        return Finding::error("data folder", format!("{} is not a folder", there.display()), "set DATA_DIR to a folder");
    }
    if !may_write(there) {
        return Finding::error("data folder", format!("{} cannot be written by this user", there.display()), mend);
    }
    match there == wanted {
        true => Finding::ok("data folder", format!("{} can be written", wanted.display())),
        false => Finding::ok("data folder", format!("{} is not there yet: the first start makes it", wanted.display())),
    }
}

pub(super) fn disk(config: &Config) -> Finding {
    let there = existing(&config.data_dir);
    let more = "make room: what cannot be stored is refused";
    match statvfs(there) {
        Err(error) => Finding::warning("disk", format!("{}: {error}", there.display()), "check the disk"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} free where DATA_DIR is", size(free));
            if free < DISK_LEAST {
                Finding::error("disk", found, more)
            } else if free < DISK_ADVISED {
                Finding::warning("disk", found, more)
            } else {
                Finding::ok("disk", found)
            }
        }
    }
}

/// Formats a number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        megabytes @ ..1_024 => format!("{megabytes} MB"),
        megabytes => format!("{} GB", megabytes >> 10),
    }
}

/// Checks the limit of open files; the server raises the soft limit to the hard one.
pub(super) fn files(wanted: usize) -> Finding {
    let what = "open files";
    let Ok((_, hard)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else {
        return Finding::warning(what, "the limit of open files cannot be read", "see `ulimit -Hn`");
    };
    let connections = app::connections_with(hard);
    let found = format!("the limit of {hard} allows {connections} connections");
    if connections >= wanted {
        return Finding::ok(what, found);
    }
    let files = wanted.saturating_add(1_000);
    let advice = format!("for {wanted} set `LimitNOFILE={files}` in the systemd unit, or `ulimit -n {files}` before the start");
    Finding::warning(what, found, advice)
}

/// Checks the kernel's limit on connections waiting to be accepted; it silently cuts a longer queue.
pub(super) fn backlog() -> Option<Finding> {
    let path = "/proc/sys/net/core/somaxconn";
    let most: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let wanted = transport::BACKLOG;
    Some(match most >= wanted {
        true => Finding::ok("backlog", format!("{wanted} connections may wait to be accepted")),
        false => Finding::warning(
            "backlog",
            format!(
                "only {most} of {wanted} connections may wait to be accepted: more at once, as after a restart, are turned away"
            ),
            format!("`sysctl -w net.core.somaxconn={wanted}`"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn more_connections_than_files_are_a_warning() {
        assert_eq!(files(4).status, Status::Ok);
        assert_eq!(files(usize::MAX).status, Status::Warning);
    }

    #[test]
    fn a_folder_that_is_not_there_is_looked_for_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(existing(Path::new("surely-not-there/x")), Path::new("."));
    }
}

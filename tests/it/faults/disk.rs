//! A disk of a test's own: a file with an ext4 file system, mounted. It can be full, and its power can be cut. It needs Linux, root (or
//! sudo that asks nothing) and loop devices; where those are missing the test says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::target_dir;

/// A mounted disk, unmounted when it is dropped.
pub struct Disk {
    image: PathBuf,
    pub folder: PathBuf,
    cutter: PathBuf,
}

impl Disk {
    /// A disk of this size under a folder, or why there is none.
    pub fn make(within: &Path, megabytes: u64) -> Result<Self, String> {
        let cutter = compile("cut_power", &[]);
        let disk = Self { image: within.join("disk.img"), folder: within.join("disk"), cutter };
        std::fs::create_dir_all(&disk.folder).unwrap();
        std::fs::File::create(&disk.image).unwrap().set_len(megabytes << 20).unwrap();
        as_root(&["mkfs.ext4", "-q", "-m", "0", disk.image.to_str().unwrap()])?;
        disk.mount()?;
        let owner = run("id", &["-u"])?;
        as_root(&["chown", owner.trim(), disk.folder.to_str().unwrap()])?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        as_root(&["mount", "-o", "loop", self.image.to_str().unwrap(), self.folder.to_str().unwrap()])
    }

    /// Writes everything down, so that what follows is all that can be lost.
    pub fn sync(&self) {
        run("sync", &["-f", self.folder.to_str().unwrap()]).unwrap();
    }

    /// From here on nothing is written, and what was not synced is gone.
    pub fn cut_power(&self) {
        as_root(&[self.cutter.to_str().unwrap(), self.folder.to_str().unwrap()]).unwrap();
    }

    /// The disk as it is found when the power is back. Whoever used it must have ended.
    pub fn power_on(&self) {
        let folder = self.folder.to_str().unwrap();
        // Processes that were killed take a moment to let go.
        let mut tries = 0..200;
        while let Err(reason) = as_root(&["umount", folder]) {
            assert!(tries.next().is_some(), "{reason}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where a process still stands in it, it goes when that process ends.
        let _ = as_root(&["umount", "-l", self.folder.to_str().unwrap()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Runs a command as root, whoever we are, or says why that cannot be.
fn as_root(command: &[&str]) -> Result<(), String> {
    if run("id", &["-u"])?.trim() == "0" {
        return run(command[0], &command[1..]).map(|_| ());
    }
    run("sudo", &[&["-n"], command].concat()).map(|_| ())
}

/// A small program of this folder, made with the C compiler that Rust links with.
pub fn compile(name: &str, options: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults").join(format!("{name}.c"));
    let made = target_dir().join(format!("fault-{name}"));
    let draft = target_dir().join(format!("fault-{name}-{:?}", std::thread::current().id()));
    let (source, drafted) = (source.to_str().unwrap(), draft.to_str().unwrap());
    run("cc", &[options, &["-O1", "-o", drafted, source]].concat()).unwrap();
    std::fs::rename(&draft, &made).unwrap();
    made
}

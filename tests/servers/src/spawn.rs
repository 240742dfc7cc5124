//! Starts a server's process so that it cannot outlive the test process, and as a user that the server accepts.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{LazyLock, mpsc};

use anyhow::{Context, Result, bail};

/// The user that servers run as. PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RunAs {
    /// Whoever runs the tests.
    Ourselves,
    /// Another user, because the tests run as root.
    Other {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

impl RunAs {
    /// Ourselves, or `name` when we are root.
    pub(crate) fn unless_root(name: &str) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = passwd.lines().find_map(|line| {
            let mut words = line.split(':');
            let found = words.next() == Some(name);
            let uid = words.nth(1)?.parse().ok()?;
            let gid = words.next()?.parse().ok()?;
            found.then_some((uid, gid))
        });
        match ids {
            Some((uid, gid)) => Ok(Self::Other { uid, gid }),
            None => bail!("this runs as root, and there is no user {name} to run a server as"),
        }
    }

    /// The command as that user, ended by `signal` when the test process ends.
    pub(crate) fn command(self, program: &Path, signal: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig").arg(signal);
        if let Self::Other { uid, gid } = self {
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
        }
        command.arg("--").arg(program).current_dir("/");
        // A Ctrl-C at the terminal is for whoever started it, who ends it in order.
        command.process_group(0);
        command
    }

    /// Gives `path` and everything under it to that user.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        let mut waiting: Vec<PathBuf> = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let facts = path.symlink_metadata().with_context(|| format!("cannot stat {}", path.display()))?;
            if facts.uid() != uid || facts.gid() != gid {
                std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
            }
            if facts.is_dir() {
                for entry in path.read_dir()? {
                    waiting.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}

/// Starts `command` from a thread that lives as long as the process.
///
/// The kernel sends the parent-death signal when the *thread* that started the child ends; a test's thread ends with
/// the test, but its server may be shared by others.
pub(crate) fn from_lasting_thread(command: Command) -> Result<Child> {
    type Request = (Command, mpsc::SyncSender<std::io::Result<Child>>);
    static STARTER: LazyLock<mpsc::SyncSender<Request>> = LazyLock::new(|| {
        let (requests, inbox) = mpsc::sync_channel::<Request>(16);
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever asked waits for the answer; when it has panicked there is nobody to tell.
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let program = command.get_program().to_owned();
    let (answer, started) = mpsc::sync_channel(1);
    STARTER.send((command, answer)).context("the thread that starts servers is gone")?;
    started
        .recv()
        .context("the thread that starts servers is gone")?
        .with_context(|| format!("cannot run {} (Debian: apt-get install util-linux)", program.display()))
}

//! The socket's file: taken over from a dead daemon, never from a living one, and open to its group only.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::server::ServeError;

/// Owner and group talk to it, others do not.
const MODE: u32 = 0o660;

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    /// The user the daemon runs as: the owner of what it creates.
    pub(super) owner: u32,
    file: SocketFile,
}

/// The file, removed when it is dropped, unless another daemon has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl Socket {
    /// Takes the socket apart: the file must outlive the serving.
    pub(super) fn into_parts(self) -> (UnixListener, u32, SocketFile) {
        (self.listener, self.owner, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.device_and_inode) {
            // The next start takes over what is left behind.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`. The file appears with its final mode: it is bound beside its place and renamed into it.
pub(super) fn listen(path: &Path) -> Result<Socket, ServeError> {
    let failed = |source| ServeError::Socket { path: path.to_owned(), source };
    refuse_if_taken(path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(failed(fault)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    let file = settle(&beside, path).map_err(|fault| {
        // The fault that is reported is the one that matters.
        let _ = fs::remove_file(&beside);
        failed(fault)
    })?;
    let device_and_inode = (file.dev(), file.ino());
    Ok(Socket { listener, owner: file.uid(), file: SocketFile { path: path.to_owned(), device_and_inode } })
}

fn settle(beside: &Path, path: &Path) -> io::Result<fs::Metadata> {
    fs::set_permissions(beside, fs::Permissions::from_mode(MODE))?;
    fs::rename(beside, path)?;
    fs::symlink_metadata(path)
}

/// Refuses a path that a living daemon answers on, or that is no socket. A socket that nobody answers on is a dead
/// daemon's.
fn refuse_if_taken(path: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(ServeError::NotASocket { path: path.to_owned() }),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(failed(fault)),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(ServeError::Running { path: path.to_owned() }),
        Err(fault) if matches!(fault.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(fault) => Err(failed(fault)),
    }
}

/// Whether a peer may command: root, or the user the daemon runs as. A peer that the system does not name may not.
pub(super) fn may_command(peer: Option<u32>, owner: u32) -> bool {
    peer.is_some_and(|peer| peer == 0 || peer == owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_daemons_user_command() {
        let check = |peer, owner, expect| assert_eq!(may_command(peer, owner), expect, "{peer:?} of {owner}");
        check(Some(0), 990, true);
        check(Some(990), 990, true);
        check(Some(1000), 990, false);
        check(Some(1000), 0, false);
        check(None, 0, false);
    }

    #[tokio::test]
    async fn the_file_is_for_owner_and_group_and_goes_with_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/p.sock");
        let socket = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(socket.owner, fs::metadata(folder.path()).unwrap().uid());
        drop(socket);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn a_dead_daemons_file_is_taken_over_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file of the dead stays");
        let living = listen(&path).unwrap();
        let refusal = listen(&path).unwrap_err();
        assert!(matches!(refusal, ServeError::Running { .. }), "{refusal}");
        assert!(path.exists(), "the refused one leaves the file alone");
        drop(living);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(listen(&path), Err(ServeError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}

//! The doors' sockets.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
};

use futures::{FutureExt, future::BoxFuture};
use gateway::{Accept, Connection};
use tokio::net::{TcpListener, UnixListener};

/// The group whose members may use the daemon of a system user.
const GROUP: &str = "ghoard";

pub(crate) struct TcpDoor(TcpListener);

impl TcpDoor {
    /// Binds `wanted`, or a free port of the same address if that one is taken. Says which.
    ///
    /// Only on loopback: whoever reaches a door may use it, and the network has no business there.
    pub(crate) async fn bind(wanted: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        if !wanted.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a loopback address"));
        }
        let listener = match TcpListener::bind(wanted).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(wanted.ip(), 0)).await?
            }
            bound => bound?,
        };
        // What is right for far networks only costs time here, most of all pacing; the connections inherit it.
        if let Err(error) = rustix::net::sockopt::set_tcp_congestion(&listener, "reno") {
            tracing::debug!(%error, "the system's congestion control stays");
        }
        let bound = listener.local_addr()?;
        Ok((Self(listener), bound))
    }
}

impl Accept for TcpDoor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Pin<Box<dyn Connection>>>> {
        async {
            let (stream, _) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Box::pin(stream) as Pin<Box<dyn Connection>>)
        }
        .boxed()
    }
}

/// A unix socket, which is removed with the door.
pub(crate) struct UnixDoor {
    listener: UnixListener,
    path: PathBuf,
}

impl UnixDoor {
    /// Binds `path` for this user, and for the group `ghoard` where there is one. A socket that
    /// nobody listens on any more is replaced; anything else in its place is an error.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_for(path, group_id(&std::fs::read_to_string("/etc/group").unwrap_or_default())).await
    }

    async fn bind_for(path: &Path, group: Option<u32>) -> io::Result<Self> {
        if let Ok(found) = std::fs::symlink_metadata(path) {
            let is_abandoned = found.file_type().is_socket() && tokio::net::UnixStream::connect(path).await.is_err();
            if !is_abandoned {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let listener = UnixListener::bind(path)?;
        let shared = group.is_some_and(|group| std::os::unix::fs::chown(path, None, Some(group)).is_ok());
        let mode = if shared { 0o660 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

/// A unix socket for this user alone: its mode is 0600, and another user's connection is closed even if
/// it came before the mode was set.
pub(crate) struct PrivateDoor {
    door: UnixDoor,
    user: u32,
}

impl PrivateDoor {
    /// As [`UnixDoor::bind`], but for no group.
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        let door = UnixDoor::bind_for(path, None).await?;
        Ok(Self { door, user: rustix::process::geteuid().as_raw() })
    }
}

impl Accept for PrivateDoor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Pin<Box<dyn Connection>>>> {
        async {
            loop {
                let (stream, _) = self.door.listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                // Root reads everything anyway.
                if user == self.user || user == 0 {
                    return Ok(Box::pin(stream) as Pin<Box<dyn Connection>>);
                }
            }
        }
        .boxed()
    }
}

impl Accept for UnixDoor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Pin<Box<dyn Connection>>>> {
        async {
            let (stream, _) = self.listener.accept().await?;
            Ok(Box::pin(stream) as Pin<Box<dyn Connection>>)
        }
        .boxed()
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The group's id in the text of `/etc/group`.
fn group_id(groups: &str) -> Option<u32> {
    let line = groups.lines().find(|line| line.split(':').next() == Some(GROUP))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_by_its_whole_name() {
        assert_eq!(group_id("root:x:0:\nghoarders:x:7:\nghoard:x:998:ci,me\n"), Some(998));
        assert_eq!(group_id("root:x:0:\n"), None);
    }
}

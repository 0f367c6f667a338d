//! The socket on which the kernel, or udev after it, tells of devices (`NETLINK_KOBJECT_UEVENT`).
//!
//! Invariant: only the kernel and root are believed, and what was lost on the way is said, never passed over.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aegis_core::uevent::{KERNEL_GROUP, LONGEST, Origin, UDEV_GROUP, Uevent};
use nix::{
    errno::Errno,
    sys::socket::{
        self, AddressFamily, ControlMessageOwned, MsgFlags, NetlinkAddr, RecvMsg, SockFlag, SockProtocol,
        SockType, UnixCredentials, sockopt,
    },
};

#[cfg(feature = "watch")]
use crate::tree::Tree;

/// Room for the events of a large machine while a driver is loading: a lost one costs a look at all devices.
pub const RECEIVE_BUFFER: usize = 16 << 20;

/// A socket that receives every event from the moment it is opened.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    origin: Origin,
    buffer: Vec<u8>,
}

/// What a socket had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A message.
    Event(Uevent<'a>),
    /// At least one message was lost or cannot be read: every device has to be looked at again.
    Lost,
    /// Nothing; wait until the socket can be read.
    Nothing,
}

impl Socket {
    /// Subscribes to the messages of the kernel or of udev. The socket never blocks.
    ///
    /// `receive_buffer` is in bytes; without the privilege to go beyond the limit of the system
    /// (`net.core.rmem_max`), the limit applies.
    pub fn open(origin: Origin, receive_buffer: usize) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let fd = socket::socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        socket::setsockopt(&fd, sockopt::RcvBufForce, &receive_buffer)
            .or_else(|_unprivileged| socket::setsockopt(&fd, sockopt::RcvBuf, &receive_buffer))?;
        socket::setsockopt(&fd, sockopt::PassCred, &true)?;
        let group = match origin {
            Origin::Kernel => KERNEL_GROUP,
            Origin::Udev => UDEV_GROUP,
        };
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, group))?;
        Ok(Self { fd, origin, buffer: vec![0; LONGEST] })
    }

    /// Whose messages it receives.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The next message. Messages of anyone else are dropped.
    pub fn receive(&mut self) -> io::Result<Received<'_>> {
        let length = loop {
            let mut space = nix::cmsg_space!(UnixCredentials);
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            let fd = self.fd.as_raw_fd();
            let got = socket::recvmsg::<NetlinkAddr>(fd, &mut parts, Some(&mut space), MsgFlags::empty());
            match got {
                Ok(message) if !is_genuine(self.origin, message.address, sender(&message)) => {}
                Ok(message) if message.flags.contains(MsgFlags::MSG_TRUNC) => return Ok(Received::Lost),
                Ok(message) => break message.bytes,
                Err(Errno::EAGAIN) => return Ok(Received::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Received::Lost),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let message = &self.buffer[..length];
        let event = match self.origin {
            Origin::Kernel => Uevent::of_kernel(message),
            Origin::Udev => Uevent::of_udev(message),
        };
        Ok(event.map_or(Received::Lost, Received::Event))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whose messages to follow: udev's where it runs, so that nodes and links are there when a disk is told of.
#[cfg(feature = "watch")]
pub fn source(tree: &Tree) -> Origin {
    if tree.exists("/run/udev/control") { Origin::Udev } else { Origin::Kernel }
}

/// The user who sent a message, as the kernel attests it.
fn sender(message: &RecvMsg<'_, '_, NetlinkAddr>) -> Option<libc::uid_t> {
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.uid()),
        _ => None,
    })
}

/// Whether a message comes from whom the socket listens to, and by its group: what is sent to the socket alone was
/// sent by another program. Port 0 is the kernel's and cannot be taken; its user is unknown within a user namespace.
fn is_genuine(origin: Origin, address: Option<NetlinkAddr>, user: Option<libc::uid_t>) -> bool {
    address.is_some_and(|address| match origin {
        Origin::Kernel => address.groups() == KERNEL_GROUP && address.pid() == 0,
        Origin::Udev => address.groups() == UDEV_GROUP && user == Some(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernel_and_root_are_believed() {
        let from = |port, group| Some(NetlinkAddr::new(port, group));
        for (origin, address, user, expected) in [
            (Origin::Kernel, from(0, KERNEL_GROUP), Some(0), true),
            (Origin::Kernel, from(0, KERNEL_GROUP), Some(65534), true),
            (Origin::Kernel, from(77, KERNEL_GROUP), Some(0), false),
            (Origin::Kernel, from(0, UDEV_GROUP), Some(0), false),
            (Origin::Kernel, None, Some(0), false),
            (Origin::Udev, from(77, UDEV_GROUP), Some(0), true),
            (Origin::Udev, from(77, UDEV_GROUP), Some(1000), false),
            (Origin::Udev, from(77, UDEV_GROUP), None, false),
            (Origin::Udev, from(77, 0), Some(0), false),
            (Origin::Udev, from(0, KERNEL_GROUP), Some(0), false),
        ] {
            assert_eq!(is_genuine(origin, address, user), expected, "{origin:?} {address:?} {user:?}");
        }
    }

    #[test]
    fn a_message_to_the_socket_alone_is_dropped() {
        let mut socket = Socket::open(Origin::Udev, RECEIVE_BUFFER).unwrap();
        let own: NetlinkAddr = socket::getsockname(socket.fd.as_raw_fd()).unwrap();
        let message = b"add@/devices/virtual/block/loop0\0SUBSYSTEM=block\0";
        let target = NetlinkAddr::new(own.pid(), 0);
        // A user may not even send it; root's arrives and is not believed.
        let _ = socket::sendto(socket.fd.as_raw_fd(), message, &target, MsgFlags::empty());
        assert_eq!(socket.receive().unwrap(), Received::Nothing);
    }

    #[cfg(feature = "watch")]
    #[test]
    fn udev_runs_where_its_control_socket_is() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::live(crate::tree::Roots::below(root.path()));
        assert_eq!(source(&tree), Origin::Kernel);
        std::fs::create_dir_all(root.path().join("run/udev")).unwrap();
        std::fs::write(root.path().join("run/udev/control"), "").unwrap();
        assert_eq!(source(&tree), Origin::Udev);
    }
}

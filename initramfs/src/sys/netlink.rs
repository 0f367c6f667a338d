//! The kernel's uevents, from `NETLINK_KOBJECT_UEVENT`.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::check;

/// Room for the events of a large machine while a driver is loading: losing one costs a scan of all devices.
static RECEIVE_BUFFER: libc::c_int = 16 * 1024 * 1024;
/// The multicast group of the kernel; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;

/// A socket that receives every event from the moment it is opened.
#[derive(Debug)]
pub(crate) struct UeventSocket(OwnedFd);

impl UeventSocket {
    /// Subscribes to the kernel's events.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket(2) takes numbers.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_KOBJECT_UEVENT) })?;
        // SAFETY: `fd` was just returned by the kernel and has no other owner.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the option's value is a c_int that outlives the call, of the length that is passed.
        check(unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const RECEIVE_BUFFER).cast(),
                length_of::<libc::c_int>(),
            )
        })?;
        // SAFETY: `sockaddr_nl` is a structure of numbers, for which zero is a valid value.
        let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
        address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
        address.nl_groups = KERNEL_GROUP;
        // SAFETY: `address` is a valid netlink address of the length that is passed and outlives the call.
        check(unsafe { libc::bind(fd, (&raw const address).cast(), length_of::<libc::sockaddr_nl>()) })?;
        Ok(Self(socket))
    }

    /// The next event's bytes; `None` when none is waiting. Messages that the kernel did not send are dropped.
    ///
    /// `ENOBUFS` as error says that events were lost.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        loop {
            // SAFETY: zero is a valid `sockaddr_nl`.
            let mut from: libc::sockaddr_nl = unsafe { mem::zeroed() };
            let mut length = length_of::<libc::sockaddr_nl>();
            // SAFETY: the buffer is valid for writing its whole length; `from` and `length` outlive the call and agree.
            let got = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut length,
                )
            };
            match usize::try_from(got) {
                Ok(count) if from.nl_pid == 0 => return Ok(buffer.get(..count)),
                Ok(_forged) => {}
                Err(_negative) => {
                    let error = io::Error::last_os_error();
                    return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
                }
            }
        }
    }
}

impl AsFd for UeventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of::<T>()).unwrap_or_default()
}

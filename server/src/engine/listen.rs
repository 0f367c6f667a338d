//! Sockets: our own, or those that the service manager opened.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    str::FromStr,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Error, Result, sys};

/// Connections that wait to be accepted, as far as the kernel allows (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and port; port 0 is any free one.
    Tcp(SocketAddr),
    /// A socket of the service manager, by its `FileDescriptorName=`.
    Inherited(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("systemd:") {
            return Ok(Self::Inherited(name.to_owned()));
        }
        text.parse().map(Self::Tcp).map_err(|_wrong| {
            format!("`{text}` is neither an address with a port, such as [::]:8080, nor systemd:NAME")
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Inherited(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    /// The socket, which does not block.
    pub socket: TcpListener,
    /// Its address, with the port that it got.
    pub address: SocketAddr,
}

/// Opens or takes over all sockets, in the order of the addresses.
///
/// # Errors
/// Names the first address that cannot be used.
pub fn bind(addresses: &[Address]) -> Result<Vec<Bound>> {
    let mut inherited = inherited()?;
    addresses
        .iter()
        .map(|address| {
            let socket = match address {
                Address::Tcp(wanted) => open(*wanted),
                Address::Inherited(name) => match inherited.iter().position(|(known, _)| known == name) {
                    Some(place) => Ok(inherited.swap_remove(place).1),
                    None => Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        "no such socket was passed to this process",
                    )),
                },
            };
            let bound = socket.and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(Bound { address: socket.local_addr()?, socket })
            });
            bound.map_err(|source| Error::Io { doing: "listening on", what: address.to_string(), source })
        })
        .collect()
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // One socket for both protocols where the address allows it.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn inherited() -> Result<Vec<(String, TcpListener)>> {
    let passed = sd_notify::listen_fds_with_names();
    let passed = passed.map_err(Error::io("taking over sockets from", "the service manager"))?;
    Ok(passed.map(|(descriptor, name)| (name, TcpListener::from(sys::adopt(descriptor)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!("systemd:public".parse(), Ok(Address::Inherited("public".into())));
        assert!(matches!("[::1]:80".parse(), Ok(Address::Tcp(address)) if address.is_ipv6()));
        for wrong in ["80", "localhost:80", ":80", "1.2.3.4", "[::1]", "1.2.3.4:99999", ""] {
            assert!(wrong.parse::<Address>().unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let error = bind(&[Address::Tcp(first[0].address)]).unwrap_err();
        assert!(error.to_string().contains(&first[0].address.to_string()));
        assert!(bind(&["systemd:nobody".parse().unwrap()]).is_err());
    }
}

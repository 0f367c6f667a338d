//! Certificates and the settings of TLS; both can change while connections live.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use socket2::{Domain, Socket, Type};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};

use crate::{Error, Result};

/// What ALPN offers, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate chain with its key, read from files.
pub struct Certificates {
    chain: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads both files, as PEM.
    ///
    /// # Errors
    /// When one cannot be read, or the key does not belong to the certificate.
    pub fn read(chain: &Path, key: &Path) -> Result<Self> {
        let current = RwLock::new(Arc::new(settings(chain, key)?));
        Ok(Self { chain: chain.to_owned(), current })
    }

    /// Takes others, which were read from the same files or from other ones; connections from now on use them.
    pub fn replace(&self, by: &Self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = by.current();
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the kernel could encrypt by itself (`tls(7)` as an upper layer of TCP). It is only looked for: TLS is done in
/// user space, and files under it are read in chunks.
///
/// A socket that is not connected cannot be given the layer, which is another refusal than that there is none.
pub fn kernel_offers_tls() -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None);
    socket.is_ok_and(|socket| setsockopt(&socket, sockopt::TcpUlp::default(), b"tls") == Err(Errno::ENOTCONN))
}

fn settings(chain: &Path, key: &Path) -> Result<ServerConfig> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect);
    let certificates = certificates.map_err(|error| wrong(chain, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let mut settings = builder
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| wrong(chain, error))?;
    settings.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(settings)
}

fn wrong(path: &Path, error: impl fmt::Display) -> Error {
    Error::Config {
        place: path.display().to_string(),
        problem: format!("cannot be used for TLS: {error}"),
        hint: "give a certificate chain and its private key, each as PEM, that belong together".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_offers_is_what_it_lists() {
        // First, since asking may load the module.
        let found = kernel_offers_tls();
        let listed = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_ulp").unwrap_or_default();
        assert_eq!(found, listed.split_whitespace().any(|name| name == "tls"), "{listed}");
    }
}

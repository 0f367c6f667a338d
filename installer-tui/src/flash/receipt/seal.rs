//! Signatures of receipts.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::{self, Ring},
    hex,
    key::{KeyRole, PublicKey, Signature},
};
use ring::{rand::SystemRandom, signature};
use zeroize::Zeroizing;

use super::{FORMAT, Receipt};
use crate::{error::Error, flash::ranges::KeyFile};

/// A key that signs receipts.
pub struct Signer {
    pair: signature::RsaKeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Opens a private key: PKCS#8 in DER, or in PEM as `aegis keys generate` makes it. Where its public key lies beside it,
    /// that has to be for receipts.
    ///
    /// # Errors
    /// When the file cannot be read or is no such key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bad = |problem| Error::Key { path: path.into(), problem };
        let bytes = Zeroizing::new(fs::read(path).map_err(Error::io("read", path))?);
        let decoded = match bytes.starts_with(b"-----BEGIN") {
            true => {
                let (label, der) = pem_rfc7468::decode_vec(&bytes).map_err(|_secret| bad("is no PEM"))?;
                let der = Zeroizing::new(der);
                if label != "PRIVATE KEY" {
                    return Err(bad("has no private key of the form PKCS#8"));
                }
                der
            }
            false => bytes,
        };
        let pair = signature::RsaKeyPair::from_pkcs8(&decoded)
            .map_err(|_secret| bad("is no RSA key of 2048 bits or more in the form PKCS#8"))?;
        let beside = beside(path);
        if let Some(public) = beside.filter(|public| public.is_file()) {
            let keys = KeyFile::Named(public).read()?.unwrap_or_default();
            let [key] = &keys[..] else { return Err(bad("has several public keys beside it")) };
            if key.der() != pair.public().as_ref() {
                return Err(bad("does not belong to the public key beside it"));
            }
            if key.role != KeyRole::Receipt {
                return Err(bad("is for something else than receipts"));
            }
        }
        Ok(Self { pair })
    }

    /// The content of the `.sig` file of a receipt.
    pub(super) fn sign(&self, document: &[u8]) -> Result<String, Error> {
        let mut bytes = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                &KeyRole::Receipt.message(document),
                &mut bytes,
            )
            .map_err(|_unspecified| Error::Sealing)?;
        let signature = Signature {
            key: crypto::key_id::<Ring>(self.pair.public().as_ref()),
            algorithm: Signature::ALGORITHM.into(),
            signature: hex::encode(&bytes),
        };
        Ok(serde_json::to_string_pretty(&signature).unwrap_or_default() + "\n")
    }
}

/// `receipt.pub.json` of `receipt.key.pem`.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(".key.pem")?;
    Some(path.with_file_name(format!("{name}.pub.json")))
}

/// Reads a receipt whose signature is by one of the keys, which may sign receipts and may be dated so.
///
/// # Errors
/// When it or its signature cannot be read, or the signature is refused.
pub fn verify(path: &Path, keys: &[PublicKey]) -> Result<Receipt, Error> {
    let text = fs::read(path).map_err(Error::io("read", path))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    let signature = fs::read(&beside).map_err(Error::io("read", &beside))?;
    let refused = |source| Error::Signature { path: path.into(), source };
    let key = crypto::verify::<Ring>(keys, KeyRole::Receipt, &text, &signature).map_err(refused)?;
    let receipt: Receipt = serde_json::from_slice(&text).map_err(|e| Error::io("parse", path)(e.into()))?;
    if receipt.format != FORMAT {
        let source = std::io::Error::other("it is of another version");
        return Err(Error::io("understand", path)(source));
    }
    crypto::check_date(key, receipt.time).map_err(refused)?;
    Ok(receipt)
}

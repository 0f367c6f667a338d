//! What lies beside an ISO: manifest, signature, checksums, software bill of materials, lock.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Sha256,
    hex::{Digest, Hex},
    manifest::{File, Manifest, MediumId},
};
use serde_json::json;

use crate::{
    date,
    error::{Error, Result},
    kernel::Kernel,
    keys::Signer,
    lock::{Lock, Use},
    store,
};

/// Name of the manifest beside an ISO.
pub const MANIFEST: &str = "manifest.json";
/// Name of its signature.
pub const SIGNATURE: &str = "manifest.json.sig";
/// Name of the checksums.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// The BIOS image of a medium. xorriso patches it with its own place, so that it cannot be in the medium's manifest; the
/// digest of the whole ISO covers it.
pub const BIOS_IMAGE: &str = "boot/grub/eltorito.img";
/// The El Torito catalogue, which xorriso writes.
pub const BOOT_CATALOGUE: &str = "boot/grub/boot.cat";

/// Size and digest of a file.
pub fn describe(path: &Path) -> Result<File> {
    let size = fs::metadata(path).map_err(Error::io("reading", path))?.len();
    Ok(File { size, sha256: store::digest_of(path)? })
}

/// Names a medium by everything that it consists of.
pub fn medium_id(manifest: &Manifest) -> MediumId {
    let unnamed = Manifest { id: Hex([0; 16]), ..manifest.clone() };
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::of(&unnamed.to_bytes()).0[..16]);
    Hex(id)
}

/// Every regular file below a directory, by its path relative to it.
pub fn describe_tree(root: &Path) -> Result<BTreeMap<String, File>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let directory = root.join(&relative);
        for entry in fs::read_dir(&directory).map_err(Error::io("reading", &directory))?.flatten() {
            let path = relative.join(entry.file_name());
            if entry.path().is_dir() {
                pending.push(path);
            } else {
                files.insert(path.to_string_lossy().into_owned(), describe(&entry.path())?);
            }
        }
    }
    Ok(files)
}

/// Names of the files directly in a directory.
pub fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).map_err(Error::io("reading", directory))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Digests of what a build was made from.
pub fn inputs(lock: &Lock, binaries: &[(&str, Digest)], kernel: &Kernel) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::from([
        ("lock".into(), Sha256::of(lock.to_text().as_bytes()).to_string()),
        ("suite".into(), lock.suite.clone()),
        ("kernel".into(), kernel.key.to_string()),
    ]);
    for (name, digest) in binaries {
        inputs.insert(format!("program/{name}"), digest.to_string());
    }
    inputs
}

/// Writes the release's own manifest, its signature and SHA256SUMS over the files in `directory`.
pub fn finish(directory: &Path, medium: &Manifest, signer: &Signer) -> Result<()> {
    let manifest = Manifest { files: describe_tree(directory)?, ..medium.clone() };
    let bytes = manifest.to_bytes();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).map_err(Error::io("writing", path))
    };
    write(MANIFEST, &bytes)?;
    write(SIGNATURE, &signer.sign(&bytes)?)?;
    let mut sums = String::new();
    for (name, file) in describe_tree(directory)? {
        writeln!(sums, "{}  {name}", file.sha256).ok();
    }
    write(CHECKSUMS, sums.as_bytes())
}

/// The software bill of materials: SPDX 2.3, JSON.
pub fn sbom(lock: &Lock, name: &str) -> String {
    let (year, month, day) = date::civil(lock.epoch / 86_400);
    let packages: Vec<_> = lock
        .packages
        .iter()
        .filter(|package| package.uses.contains(&Use::Rootfs) || package.uses.contains(&Use::Kernel))
        .map(|package| {
            let reference = format!(
                "pkg:deb/debian/{}@{}?arch={}&distro={}",
                package.name, package.version, package.arch, lock.suite
            );
            json!({
                "SPDXID": format!("SPDXRef-{}-{}", package.name.replace('+', "-"), package.arch),
                "name": package.name,
                "versionInfo": package.version,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "supplier": "Organization: Debian",
                "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
                "externalRefs": [{
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": reference.replace('+', "%2B"),
                }],
            })
        })
        .collect();
    let relationships: Vec<_> = packages
        .iter()
        .map(|package| {
            json!({
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": package["SPDXID"],
            })
        })
        .collect();
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("urn:aegis-os:{name}:{}", Sha256::of(lock.to_text().as_bytes())),
        "creationInfo": {
            "created": format!("{year:04}-{month:02}-{day:02}T00:00:00Z"),
            "creators": [format!("Tool: aegis-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

//! Verifies a release: the ISO against what lies beside it, and everything inside against its own manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::{self, Ring, Sha256},
    hex::Digest,
    key::{KeyRole, PublicKey},
    manifest::{File, Manifest, path},
    ranges::{Ranges, SUFFIX},
    time::UnixTime,
};

use crate::{
    error::{Error, Result},
    isofs::Iso,
    progress::Progress,
    release, store,
};

/// What was verified.
#[derive(Clone, Debug)]
pub struct Report {
    /// The manifest of the medium.
    pub manifest: Manifest,
    /// The key that signed it.
    pub key: PublicKey,
    /// Files inside the ISO that were compared.
    pub files: usize,
    /// Whether manifest and checksums beside the ISO were there and were compared.
    pub beside: bool,
}

/// Verifies an ISO with a key ring.
pub fn iso(file: &Path, ring: &[PublicKey], progress: &mut Progress) -> Result<Report> {
    fs::metadata(file).map_err(Error::io("opening", file))?;
    progress.stage("beside");
    let beside = beside(file, ring)?;
    progress.done(
        false,
        if beside { "manifest, ranges, signatures and SHA256SUMS match" } else { "no manifest there" },
    );
    progress.stage("medium");
    let mut iso = Iso::open(file)?;
    let manifest_bytes = iso.content(path::MANIFEST)?;
    let signature = iso.content(path::SIGNATURE)?;
    let (manifest, key) = signed(path::MANIFEST, &manifest_bytes, &signature, ring)?;
    compare_files(&mut iso, &manifest, progress)?;
    let files = manifest.files.len();
    progress.done(false, &format!("{files} files match the signed manifest"));
    Ok(Report { manifest, key, files, beside })
}

/// Verifies a manifest's signature, reads it, and checks its date.
pub fn signed(
    name: &str,
    bytes: &[u8],
    signature: &[u8],
    ring: &[PublicKey],
) -> Result<(Manifest, PublicKey)> {
    let refused = |source| Error::Signature { path: name.into(), source };
    let key = crypto::verify::<Ring>(ring, KeyRole::Release, bytes, signature).map_err(refused)?;
    let manifest =
        Manifest::from_verified(bytes).map_err(|source| Error::Manifest { path: name.into(), source })?;
    crypto::check_date(key, UnixTime::from_unsigned(manifest.epoch)).map_err(refused)?;
    Ok((manifest, key.clone()))
}

fn beside(file: &Path, ring: &[PublicKey]) -> Result<bool> {
    let directory = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = |other: &str| -> PathBuf { directory.join(other) };
    if !at(release::MANIFEST).exists() {
        return Ok(false);
    }
    let read = |name: &str| fs::read(at(name)).map_err(Error::io("reading", at(name)));
    let (manifest, _) =
        signed(release::MANIFEST, &read(release::MANIFEST)?, &read(release::SIGNATURE)?, ring)?;
    if !manifest.files.contains_key(&name) {
        return Err(Error::Listing { path: name, problem: "is not in the manifest beside it" });
    }
    for (name, expected) in &manifest.files {
        if !at(name).exists() {
            return Err(Error::Listing {
                path: name.clone(),
                problem: "is in the manifest but not beside the ISO",
            });
        }
        compare(name, expected, &release::describe(&at(name))?)?;
    }
    let ranges_name = format!("{name}{SUFFIX}");
    if manifest.files.contains_key(&ranges_name) {
        let bytes = read(&ranges_name)?;
        ranges(file, &ranges_name, &bytes, &read(&format!("{ranges_name}.sig"))?, ring, &manifest)?;
    }
    checksums(&directory)?;
    Ok(true)
}

/// Verifies the range manifest beside an ISO, whose digest was compared before.
fn ranges(
    iso: &Path,
    name: &str,
    bytes: &[u8],
    signature: &[u8],
    ring: &[PublicKey],
    manifest: &Manifest,
) -> Result<()> {
    let refused = |source| Error::Ranges { path: name.into(), source };
    let (found, _key) = Ranges::verify::<Ring>(ring, bytes, signature).map_err(refused)?;
    if found == crate::ranges::of_iso(iso, manifest)? {
        return Ok(());
    }
    Err(Error::Listing { path: name.into(), problem: "does not describe the ISO beside it" })
}

fn checksums(directory: &Path) -> Result<()> {
    let path = directory.join(release::CHECKSUMS);
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    for line in text.lines() {
        let Some((digest, name)) = line.split_once("  ") else {
            return Err(Error::Listing {
                path: release::CHECKSUMS.into(),
                problem: "has a line that is not a checksum",
            });
        };
        let found = store::digest_of(&directory.join(name))?;
        if Digest::parse(digest) != Some(found) {
            return Err(Error::Mismatch {
                path: name.into(),
                property: "SHA-256 in SHA256SUMS",
                expected: digest.into(),
                found: found.to_string(),
            });
        }
    }
    Ok(())
}

fn compare_files(iso: &mut Iso, manifest: &Manifest, progress: &mut Progress) -> Result<()> {
    let own = [path::MANIFEST, path::SIGNATURE];
    // xorriso writes its El Torito catalogue itself, and patches the BIOS image with its own place.
    let written = [release::BIOS_IMAGE, release::BOOT_CATALOGUE];
    let extra = iso.files.keys().find(|name| {
        let known = own.contains(&name.as_str()) || written.contains(&name.as_str());
        !known && !manifest.files.contains_key(*name)
    });
    if let Some(name) = extra {
        return Err(Error::Listing {
            path: name.clone(),
            problem: "is on the medium but not in its manifest",
        });
    }
    let total: u64 = manifest.files.values().map(|file| file.size).sum();
    let mut done = 0;
    for (name, expected) in &manifest.files {
        let Some(extents) = iso.files.get(name) else {
            return Err(Error::Listing {
                path: name.clone(),
                problem: "is in the manifest but not on the medium",
            });
        };
        let size = extents.iter().map(|extent| extent.size).sum();
        let mut hasher = Sha256::new();
        iso.stream(name, |bytes| {
            hasher.update(bytes);
            done += bytes.len() as u64;
            progress.bytes(done, total);
        })?;
        compare(name, expected, &File { size, sha256: hasher.finish() })?;
    }
    Ok(())
}

fn compare(name: &str, expected: &File, found: &File) -> Result<()> {
    let mismatch = |property, expected: String, found: String| {
        Err(Error::Mismatch { path: name.into(), property, expected, found })
    };
    if expected.size != found.size {
        return mismatch("size", expected.size.to_string(), found.size.to_string());
    }
    if expected.sha256 != found.sha256 {
        return mismatch("SHA-256", expected.sha256.to_string(), found.sha256.to_string());
    }
    Ok(())
}

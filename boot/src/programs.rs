//! Our own programs: where cargo leaves them, and the proof that an image can run them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use object::{
    Endianness,
    elf::FileHeader64,
    read::elf::{Dyn as _, FileHeader as _, SectionHeader as _},
};

use crate::{
    error::{Error, Result},
    lock::{Lock, Use},
};

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// With everything that it needs: it runs before there is a root file system, or needs nothing of it.
    Static,
    /// With the image's C library, so that it can load other libraries of the image while it runs.
    Dynamic,
}

/// A program of ours.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name of its file.
    pub name: &'static str,
    /// How it is linked.
    pub linkage: Linkage,
}

/// PID 1 of the boot.
pub const INIT: Program = Program { name: "aegis-init", linkage: Linkage::Static };

/// What an image carries in `/usr/bin`.
pub const IMAGE: &[Program] = &[
    Program { name: "aegis-installer", linkage: Linkage::Dynamic },
    Program { name: "aegis-kernel", linkage: Linkage::Static },
    Program { name: "aegis-license", linkage: Linkage::Static },
];

/// Libraries that a program may be linked with, and the packages that have them. Everything else is loaded at run time.
const LIBRARIES: &[(&str, &str)] = &[
    ("libc.so.6", "libc6"),
    ("libm.so.6", "libc6"),
    ("ld-linux-x86-64.so.2", "libc6"),
    ("libgcc_s.so.1", "libgcc-s1"),
];

/// The package whose upstream version is the highest `GLIBC_` symbol version that it has.
const GLIBC: &str = "libc6";

/// Where cargo leaves a program below its target directory.
pub fn path(target: &Path, program: Program) -> PathBuf {
    let triple = match program.linkage {
        Linkage::Static => "x86_64-unknown-linux-musl",
        Linkage::Dynamic => "x86_64-unknown-linux-gnu",
    };
    target.join(triple).join("ship").join(program.name)
}

/// As [`path`], for a program that must have been built.
pub fn built(target: &Path, program: Program) -> Result<PathBuf> {
    let path = path(target, program);
    if path.is_file() { Ok(path) } else { Err(Error::MissingBinary(path)) }
}

/// Proves that the programs run where the lock's packages are: a C library that is older than the one of the building
/// machine lacks symbols, which would be found when the installer starts on somebody's machine.
pub fn check(target: &Path, lock: &Lock) -> Result<()> {
    for program in IMAGE.iter().chain([&INIT]) {
        let path = built(target, *program)?;
        let bytes = fs::read(&path).map_err(Error::io("reading", &path))?;
        let unfit = |reason: String| Error::UnfitBinary { path: path.clone(), reason };
        let needs = Needs::read(&bytes).map_err(|error| unfit(error.to_string()))?;
        needs.check(program.linkage, lock).map_err(unfit)?;
    }
    Ok(())
}

/// What a program asks of the system that it runs on.
#[derive(Debug, Default)]
struct Needs {
    interpreter: bool,
    libraries: Vec<String>,
    /// The highest `GLIBC_` version.
    glibc: Option<(u32, u32)>,
}

impl Needs {
    fn read(bytes: &[u8]) -> object::Result<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let mut needs = Self::default();
        for segment in header.program_headers(endian, bytes)? {
            needs.interpreter |=
                object::read::elf::ProgramHeader::p_type(segment, endian) == object::elf::PT_INTERP;
        }
        let sections = header.sections(endian, bytes)?;
        for section in sections.iter() {
            if let Some((entries, link)) = section.dynamic(endian, bytes)? {
                let strings = sections.strings(endian, bytes, link)?;
                for entry in entries.iter().filter(|entry| entry.tag(endian) == object::elf::DT_NEEDED) {
                    needs.libraries.push(text(entry.string(endian, strings)?));
                }
            }
            let Some((mut files, link)) = section.gnu_verneed(endian, bytes)? else { continue };
            let strings = sections.strings(endian, bytes, link)?;
            while let Some((_, mut versions)) = files.next()? {
                while let Some(version) = versions.next()? {
                    needs.glibc = needs.glibc.max(glibc(&text(version.name(endian, strings)?)));
                }
            }
        }
        Ok(needs)
    }

    fn check(&self, linkage: Linkage, lock: &Lock) -> std::result::Result<(), String> {
        if linkage == Linkage::Static {
            let alone = !self.interpreter && self.libraries.is_empty();
            return if alone { Ok(()) } else { Err("it is not linked statically".into()) };
        }
        let version = |package: &str| {
            lock.uses(Use::Rootfs).find(|entry| entry.name == package).map(|entry| entry.version.as_str())
        };
        for library in &self.libraries {
            let package = LIBRARIES.iter().find(|(name, _)| name == library);
            let (_, package) = package.ok_or_else(|| format!("it is linked with {library}"))?;
            version(package).ok_or_else(|| format!("it needs {library}, and the image has no {package}"))?;
        }
        let has = version(GLIBC).unwrap_or_default();
        match self.glibc {
            Some((major, minor)) if Some((major, minor)) > numbers(has) => {
                Err(format!("it needs glibc {major}.{minor} or newer, and the image has {GLIBC} {has}"))
            }
            _ => Ok(()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `GLIBC_2.34` as numbers. `GLIBC_PRIVATE` is not among what a program can be linked with.
fn glibc(version: &str) -> Option<(u32, u32)> {
    numbers(version.strip_prefix("GLIBC_")?)
}

/// The first two numbers of `2.34`, `2.2.5` or `2.41-12+deb13u1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use aegis_core::{edition::Edition, hex::Hex};

    use super::*;
    use crate::{lock::Package, sources::Archive};

    fn lock(packages: &[(&str, &str)]) -> Lock {
        let package = |(name, version): &(&str, &str)| Package {
            name: (*name).into(),
            version: (*version).into(),
            arch: "amd64".into(),
            archive: Archive::Debian,
            path: String::new(),
            size: 0,
            sha256: Hex([0; 32]),
            uses: [Use::Rootfs].into(),
        };
        Lock {
            format: Lock::FORMAT,
            edition: Some(Edition::Server),
            suite: "trixie".into(),
            epoch: 0,
            request: Hex([0; 32]),
            packages: packages.iter().map(package).collect(),
        }
    }

    /// A program that the machine's compiler makes.
    fn compiled(arguments: &[&str]) -> Needs {
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("main.c");
        fs::write(&source, "#include <math.h>\n#include <stdio.h>\nint main(int n, char **v) { return printf(\"%f\", pow(n, *v[0])); }\n")
            .unwrap();
        let program = place.path().join("main");
        let status = Command::new("cc").arg(source).arg("-o").arg(&program).args(arguments).status().unwrap();
        assert!(status.success());
        Needs::read(&fs::read(program).unwrap()).unwrap()
    }

    #[test]
    fn a_dynamic_program_fits_an_image_with_its_c_library() {
        let needs = compiled(&["-lm"]);
        assert_eq!(needs.libraries, ["libm.so.6", "libc.so.6"]);
        // pow of 2.29 sets errno as C wants it: the program asks for that one.
        assert!(needs.glibc >= Some((2, 29)), "{:?}", needs.glibc);
        let image = lock(&[("libc6", "2.41-12+deb13u1")]);
        assert_eq!(needs.check(Linkage::Dynamic, &image), Ok(()));
        let old = needs.check(Linkage::Dynamic, &lock(&[("libc6", "2.19-18")])).unwrap_err();
        assert!(old.ends_with(" or newer, and the image has libc6 2.19-18"), "{old}");
        let none = needs.check(Linkage::Dynamic, &lock(&[])).unwrap_err();
        assert_eq!(none, "it needs libm.so.6, and the image has no libc6");
        assert_eq!(needs.check(Linkage::Static, &image).unwrap_err(), "it is not linked statically");
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let needs = compiled(&["-static", "-lm"]);
        assert_eq!(needs.check(Linkage::Static, &lock(&[])), Ok(()));
    }

    #[test]
    fn other_libraries_are_refused_and_other_files_are_no_programs() {
        let needs = Needs { libraries: vec!["libblkid.so.1".into()], ..Needs::default() };
        assert_eq!(needs.check(Linkage::Dynamic, &lock(&[])).unwrap_err(), "it is linked with libblkid.so.1");
        assert!(Needs::read(b"#!/bin/sh\n").is_err() && Needs::read(b"").is_err());
    }

    #[test]
    fn versions() {
        assert_eq!(numbers("2.41-12+deb13u1"), Some((2, 41)));
        assert_eq!(glibc("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(
            (glibc("GLIBC_PRIVATE"), glibc("GLIBC_ABI_DT_RELR"), glibc("GCC_3.0")),
            (None, None, None)
        );
    }
}

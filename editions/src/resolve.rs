//! Inheritance: a chain of files becomes one [`Spec`].
//!
//! Invariant: scalars come from the nearest file that has them, lists are appended from the root of the chain
//! down, and what an edition is to its buyer (name, price, prefix, colours, words, upgrades) is never inherited.

use std::collections::BTreeSet;

use aegis_core::{edition::Edition, license::entitlements::Entitlements};

use crate::{
    error::{Error, Location},
    raw::Raw,
    source::{File, Source},
    spec::{Disk, ImageSpec, Kernel, SecurityTier, Services, Spec},
    validate,
};

/// Resolves and validates one edition.
pub(crate) fn resolve(source: Source<'_>, edition: Edition) -> Result<Spec, Error> {
    let chain = Chain::read(source, edition)?;
    let spec = chain.spec()?;
    validate::spec(&spec, &source.registry()?, &chain)?;
    Ok(spec)
}

/// Resolves every edition and compares them with each other.
pub(crate) fn all(source: Source<'_>) -> Result<Vec<Spec>, Error> {
    let specs = Edition::ALL.into_iter().map(|e| resolve(source, e)).collect::<Result<Vec<_>, _>>()?;
    validate::set(&specs, source)?;
    Ok(specs)
}

/// A file and everything that it inherits from, nearest first; never empty.
pub(crate) struct Chain {
    files: Vec<File>,
    edition: Edition,
}

impl Chain {
    fn read(source: Source<'_>, edition: Edition) -> Result<Self, Error> {
        let mut files: Vec<File> = Vec::new();
        let mut next = Some(edition);
        while let Some(edition) = next {
            if let Some(first) = files.iter().position(|file| file.edition == edition) {
                let mut ring: Vec<_> = files[first..].iter().map(|file| file.edition).collect();
                ring.push(edition);
                let at = files[files.len() - 1].place("inherit");
                return Err(Error::Cycle { at, ring });
            }
            let file = source.read(edition)?;
            next = file.raw.inherit;
            files.push(file);
        }
        Ok(Self { files, edition })
    }

    /// Where a dotted key was written: in the nearest file that has it, else in none.
    pub(crate) fn place(&self, key: &str) -> Location {
        let holder = self.files.iter().find(|file| file.line_of(key).is_some());
        holder.unwrap_or(&self.files[0]).place(key)
    }

    fn spec(&self) -> Result<Spec, Error> {
        let own = &self.files[0].raw;
        Ok(Spec {
            id: self.edition,
            name: self.own("name", own.name.clone())?,
            tagline: self.own("tagline", own.tagline.clone())?,
            key_prefix: own.key_prefix.clone(),
            colour: self.own("colour", own.colour.clone())?,
            price: self.own("price", own.price)?,
            service: self.own("service", own.service)?,
            channel: self.nearest("system.channel", |raw| raw.system.channel)?,
            security: self.security()?,
            entitlements: self.entitlements()?,
            upgrade_paths: self.own("upgrade_paths", own.upgrade_paths.clone())?,
            includes: own.includes.clone(),
            best_for: self.own("best_for", own.best_for.clone())?,
            highlights: self.own("highlights", own.highlights.clone())?,
            architectures: self.appended("system.architectures", |raw| &raw.system.architectures)?,
            components: self.appended("system.components", |raw| &raw.system.components)?,
            packages: self.packages()?,
            kernel: Kernel {
                package: self.nearest("kernel.package", |raw| raw.kernel.package.clone())?,
                fragments: self.appended("kernel.fragments", |raw| &raw.kernel.fragments)?,
            },
            overlays: self.appended("system.overlays", |raw| &raw.system.overlays)?,
            services: Services {
                enable: sorted(self.appended("services.enable", |raw| &raw.services.enable)?),
                mask: sorted(self.appended("services.mask", |raw| &raw.services.mask)?),
            },
            desktop: self.nearest("system.desktop", |raw| raw.system.desktop)?,
            serial_console: self.first(|raw| raw.system.serial_console).unwrap_or_default(),
            disk: Disk {
                slot_mib: self.nearest("disk.slot_mib", |raw| raw.disk.slot_mib)?,
                minimum_mib: self.nearest("disk.minimum_mib", |raw| raw.disk.minimum_mib)?,
            },
            memory_mib: self.nearest("system.memory_mib", |raw| raw.system.memory_mib)?,
            image: ImageSpec {
                kind: self.nearest("image.kind", |raw| raw.image.kind)?,
                compression: self.nearest("image.compression", |raw| raw.image.compression)?,
            },
        })
    }

    fn security(&self) -> Result<SecurityTier, Error> {
        Ok(SecurityTier {
            level: self.nearest("security.level", |raw| raw.security.level)?,
            confinement: self.first(|raw| raw.security.confinement).unwrap_or_default(),
            firewall_tools: self.first(|raw| raw.security.firewall_tools).unwrap_or_default(),
            malware_scanner: self.first(|raw| raw.security.malware_scanner).unwrap_or_default(),
            sandbox_tools: self.first(|raw| raw.security.sandbox_tools).unwrap_or_default(),
            intrusion_prevention: self.first(|raw| raw.security.intrusion_prevention).unwrap_or_default(),
            audit_log: self.first(|raw| raw.security.audit_log).unwrap_or_default(),
        })
    }

    fn entitlements(&self) -> Result<Entitlements, Error> {
        let flags = self.merged(
            "entitlements.remove",
            |raw| &raw.entitlements.remove,
            |raw| keyed("entitlements.flags", &raw.entitlements.flags),
        )?;
        let limits = self.files.iter().rev().flat_map(|file| file.raw.entitlements.limits.clone());
        Ok(Entitlements { flags: flags.into_iter().collect(), limits: limits.collect() })
    }

    fn packages(&self) -> Result<Vec<String>, Error> {
        let grouped = |raw| {
            let raw: &Raw = raw;
            raw.packages
                .add
                .iter()
                .flat_map(|(group, list)| keyed(&format!("packages.add.{group}"), list))
                .collect()
        };
        self.merged("packages.remove", |raw| &raw.packages.remove, grouped).map(sorted)
    }

    fn appended(&self, key: &str, list: impl Fn(&Raw) -> &Vec<String>) -> Result<Vec<String>, Error> {
        static NOTHING: BTreeSet<String> = BTreeSet::new();
        self.merged(key, |_| &NOTHING, |raw| keyed(key, list(raw)))
    }

    /// From the root of the chain down: a file first removes what it inherits and does not want, then adds its own.
    /// `added` gives each name with the key that it is written below.
    fn merged<'a>(
        &'a self,
        remove_key: &str,
        removed: impl Fn(&'a Raw) -> &'a BTreeSet<String>,
        added: impl Fn(&'a Raw) -> Vec<(String, &'a String)>,
    ) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = Vec::new();
        for file in self.files.iter().rev() {
            let unwanted = removed(&file.raw);
            if let Some(stale) = unwanted.iter().find(|name| !names.contains(*name)) {
                let hint = format!("remove `{stale}` from the list");
                return Err(invalid(file.place(remove_key), format!("`{stale}` is not inherited"), hint));
            }
            names.retain(|name| !unwanted.contains(name));
            for (key, name) in added(&file.raw) {
                if names.contains(name) {
                    let parent =
                        file.raw.inherit.map_or(String::new(), |e| format!(", or inherited from {e}"));
                    let problem = format!("`{name}` is there twice{parent}");
                    return Err(invalid(file.place(&key), problem, format!("remove one `{name}`")));
                }
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    fn own<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| Error::Missing { at: self.files[0].place(key) })
    }

    fn nearest<T>(&self, key: &str, get: impl Fn(&Raw) -> Option<T>) -> Result<T, Error> {
        self.own(key, self.first(get))
    }

    fn first<T>(&self, get: impl Fn(&Raw) -> Option<T>) -> Option<T> {
        self.files.iter().find_map(|file| get(&file.raw))
    }
}

/// [`Error::Invalid`], shorter to write.
pub(crate) fn invalid(at: Location, problem: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Invalid { at, problem: problem.into(), hint: hint.into() }
}

fn keyed<'a>(key: &str, list: &'a [String]) -> Vec<(String, &'a String)> {
    list.iter().map(|name| (key.to_owned(), name)).collect()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

//! What makes a specification acceptable.
//!
//! Invariant: checks only read; the first violation is returned with the place where its key was written.

use std::collections::BTreeMap;

use aegis_core::{edition::Edition, license::key::is_prefix};

use crate::{
    error::Error,
    registry::Registry,
    resolve::{Chain, invalid},
    source::Source,
    spec::{DISK_DATA_MIB, DISK_FIXED_MIB, Desktop, Spec},
};

/// Packages, by prefix, that would build an initramfs or a boot loader inside the image: the kernel is unpacked
/// without being installed, and the media carry their own loader.
const FOREIGN: [&str; 9] = [
    "dracut",
    "grub-",
    "initramfs-tools",
    "linux-headers-",
    "linux-image-",
    "live-boot",
    "shim-",
    "systemd-boot",
    "tiny-initramfs",
];

/// Archive components of Debian 13.
const COMPONENTS: [&str; 4] = ["main", "contrib", "non-free", "non-free-firmware"];

/// One edition by itself.
pub(crate) fn spec(spec: &Spec, registry: &Registry, chain: &Chain) -> Result<(), Error> {
    let checks: [fn(&Spec) -> Option<Violation>; 13] = [
        words, colours, prefix, price, upgrades, includes, archive, packages, overlays, units, disk,
        security, limits,
    ];
    match checks.iter().find_map(|check| check(spec)).or_else(|| entitlements(spec, registry)) {
        None => Ok(()),
        Some((key, problem, hint)) => Err(invalid(chain.place(&key), problem, hint)),
    }
}

/// All editions together: what tells them apart must differ.
pub(crate) fn set(specs: &[Spec], source: Source<'_>) -> Result<(), Error> {
    unique(specs, source, "name", |spec| Some(spec.name.clone()))?;
    unique(specs, source, "key_prefix", |spec| spec.key_prefix.clone())?;
    unique(specs, source, "colour.site", |spec| Some(spec.colour.site.clone()))?;
    unique(specs, source, "price", |spec| {
        let paid = spec.price.lifetime_cents > 0;
        paid.then(|| format!("{} and {} cents", spec.price.lifetime_cents, spec.price.annual_cents))
    })
}

/// Key, problem, hint.
type Violation = (String, String, String);

fn violation(key: &str, problem: impl Into<String>, hint: impl Into<String>) -> Violation {
    (key.into(), problem.into(), hint.into())
}

fn unique(
    specs: &[Spec],
    source: Source<'_>,
    key: &str,
    value: impl Fn(&Spec) -> Option<String>,
) -> Result<(), Error> {
    let mut seen: BTreeMap<String, Edition> = BTreeMap::new();
    for spec in specs {
        let Some(value) = value(spec) else { continue };
        if let Some(other) = seen.insert(value.clone(), spec.id) {
            let problem = format!("`{value}` is also that of {other}");
            return Err(invalid(source.place(spec.id, key), problem, "give each edition its own"));
        }
    }
    Ok(())
}

fn words(spec: &Spec) -> Option<Violation> {
    let lines = [("name", &spec.name), ("tagline", &spec.tagline), ("best_for", &spec.best_for)];
    let highlights = spec.highlights.iter().map(|line| ("highlights", line));
    lines
        .into_iter()
        .chain(highlights)
        .find(|(_, line)| line.trim().is_empty() || line.contains(['\n', '|']) || line.ends_with('.'))
        .map(|(key, line)| {
            let hint = "write one line without a full stop and without `|`, which would break the tables";
            violation(key, format!("`{line}` is not one plain line"), hint)
        })
}

fn colours(spec: &Spec) -> Option<Violation> {
    let valid = |text: &str| {
        let digits = text.strip_prefix('#').unwrap_or_default();
        digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    [("colour.site", &spec.colour.site), ("colour.installer", &spec.colour.installer)]
        .into_iter()
        .find(|(_, text)| !valid(text))
        .map(|(key, text)| {
            violation(key, format!("`{text}` is not a colour"), "write `#` and six hexadecimal digits")
        })
}

fn prefix(spec: &Spec) -> Option<Violation> {
    match &spec.key_prefix {
        None if spec.price.is_free() => None,
        None => {
            Some(violation("key_prefix", "an edition that is sold has no key prefix", "write four capitals"))
        }
        Some(_) if spec.price.is_free() => Some(violation(
            "key_prefix",
            "a free edition has a key prefix",
            "remove it; no key is ever issued",
        )),
        Some(text) if is_prefix(text) => None,
        Some(text) => Some(violation(
            "key_prefix",
            format!("`{text}` is not a key prefix"),
            "write four capitals other than L and U, which look like other characters of a key",
        )),
    }
}

fn price(spec: &Spec) -> Option<Violation> {
    let price = spec.price;
    let has_price = price.lifetime_cents > 0 || price.annual_cents > 0;
    if price.contact_sales && has_price {
        let hint = "set both amounts to 0, or remove `contact_sales`";
        return Some(violation(
            "price.contact_sales",
            "a price is written and yet agreed with a person",
            hint,
        ));
    }
    (has_price && price.annual_cents >= price.lifetime_cents).then(|| {
        violation(
            "price.annual_cents",
            "a year costs as much as for ever",
            "make it less than `lifetime_cents`",
        )
    })
}

fn upgrades(spec: &Spec) -> Option<Violation> {
    let free = |edition: &Edition| *edition == spec.id || *edition == Edition::Freemium;
    let bad = spec.upgrade_paths.iter().find(|edition| free(edition))?;
    Some(violation("upgrade_paths", format!("`{bad}` is no upgrade"), "name other editions that are sold"))
}

fn includes(spec: &Spec) -> Option<Violation> {
    let bad = spec.includes.iter().find(|edition| **edition == spec.id || **edition == Edition::Freemium)?;
    let hint = "name other editions that are sold; its own and freemium are always open";
    Some(violation("includes", format!("`{bad}` need not be included"), hint))
}

fn archive(spec: &Spec) -> Option<Violation> {
    if spec.architectures.first().map(String::as_str) != Some("amd64")
        || spec.architectures.iter().skip(1).any(|name| name != "i386")
    {
        let hint = "write `amd64` first; `i386` may follow";
        return Some(violation("system.architectures", "an architecture is not supported", hint));
    }
    if !spec.components.iter().any(|name| name == "main") {
        return Some(violation("system.components", "`main` is not there", "add `main`"));
    }
    let unknown = spec.components.iter().find(|name| !COMPONENTS.contains(&name.as_str()))?;
    let hint = format!("write some of {}", COMPONENTS.join(", "));
    Some(violation("system.components", format!("Debian has no component `{unknown}`"), hint))
}

fn packages(spec: &Spec) -> Option<Violation> {
    if !spec.packages.iter().any(|name| name == "apt") {
        return Some(violation(
            "packages.add",
            "`apt` is not there",
            "add `apt`; the image records its packages with it",
        ));
    }
    spec.packages.iter().find_map(|package| {
        let (name, architecture) = package.split_once(':').unwrap_or((package, "amd64"));
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
        if name.len() < 2 || !plain {
            Some(violation(
                "packages.add",
                format!("`{package}` is not a package name"),
                "see Debian Policy 5.6.1",
            ))
        } else if let Some(prefix) = FOREIGN.iter().find(|prefix| name.starts_with(*prefix)) {
            let hint = format!("remove it; kernel and loader are not installed as packages (`{prefix}`)");
            Some(violation("packages.add", format!("`{package}` must not be in an image"), hint))
        } else if !spec.architectures.iter().any(|known| known == architecture) {
            let hint = format!("add `{architecture}` to `system.architectures`");
            Some(violation("packages.add", format!("`{package}` is of another architecture"), hint))
        } else {
            None
        }
    })
}

fn overlays(spec: &Spec) -> Option<Violation> {
    let graphical = spec.desktop != Desktop::None;
    let has = |name: &str| spec.overlays.iter().any(|overlay| overlay == name);
    let wanted = if graphical { "desktop" } else { "server" };
    if let Some(name) = spec.overlays.iter().find(|name| name.is_empty() || name.contains(['/', '.'])) {
        return Some(violation(
            "system.overlays",
            format!("`{name}` is not a name"),
            "write the name of a directory",
        ));
    }
    let missing = ["common", wanted].into_iter().find(|name| !has(name))?;
    Some(violation("system.overlays", format!("`{missing}` is not there"), format!("add `{missing}`")))
}

fn units(spec: &Spec) -> Option<Violation> {
    const SUFFIXES: [&str; 6] = [".service", ".socket", ".timer", ".target", ".path", ".mount"];
    let plain = |name: &&String| !name.contains('/') && SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let lists = [("services.enable", &spec.services.enable), ("services.mask", &spec.services.mask)];
    for (key, list) in lists {
        if let Some(name) = list.iter().find(|name| !plain(name)) {
            return Some(violation(key, format!("`{name}` is not a unit"), "write the name with its suffix"));
        }
    }
    let both = spec.services.enable.iter().find(|name| spec.services.mask.contains(name))?;
    Some(violation("services.mask", format!("`{both}` is enabled too"), "remove it from one of the lists"))
}

fn disk(spec: &Spec) -> Option<Violation> {
    if !(1..=22).contains(&spec.image.compression) {
        return Some(violation("image.compression", "zstd has no such level", "write 1 to 22"));
    }
    if spec.memory_mib < 512 {
        return Some(violation("system.memory_mib", "less than 512 MiB cannot boot", "write at least 512"));
    }
    if !(512..=65536).contains(&spec.disk.slot_mib) {
        return Some(violation("disk.slot_mib", "a slot of this size is a mistake", "write 512 to 65536"));
    }
    let least = DISK_FIXED_MIB + 2 * spec.disk.slot_mib + DISK_DATA_MIB;
    (spec.disk.minimum_mib < least).then(|| {
        let problem =
            format!("{} MiB do not hold two slots of {} MiB", spec.disk.minimum_mib, spec.disk.slot_mib);
        violation("disk.minimum_mib", problem, format!("write at least {least}"))
    })
}

/// A capability is true only with the packages that it stands for.
fn security(spec: &Spec) -> Option<Violation> {
    let tier = spec.security;
    if !(1..=5).contains(&tier.level) {
        return Some(violation("security.level", "there is no such level", "write 1 to 5"));
    }
    let claims: [(&str, bool, &[&str]); 6] = [
        ("security.confinement", tier.confinement, &["apparmor"]),
        ("security.firewall_tools", tier.firewall_tools, &["nftables"]),
        ("security.malware_scanner", tier.malware_scanner, &["clamav", "clamav-freshclam"]),
        ("security.sandbox_tools", tier.sandbox_tools, &["firejail"]),
        ("security.intrusion_prevention", tier.intrusion_prevention, &["fail2ban"]),
        ("security.audit_log", tier.audit_log, &["auditd"]),
    ];
    claims.iter().find_map(|(key, claimed, packages)| {
        let missing = packages.iter().find(|name| !spec.packages.iter().any(|package| package == *name))?;
        let hint = format!("add `{missing}` to the packages, or remove the claim");
        claimed.then(|| violation(key, format!("`{missing}` is not in the edition"), hint))
    })
}

fn limits(spec: &Spec) -> Option<Violation> {
    if spec.service.max_users == 0 {
        return Some(violation("service.max_users", "nobody could use it", "write at least 1"));
    }
    if spec.service.api_calls_per_month == Some(0) {
        let hint = "remove the key for unlimited calls";
        return Some(violation("service.api_calls_per_month", "0 calls are none", hint));
    }
    let (name, value) = spec.entitlements.limits.iter().find(|(_, value)| **value < -1)?;
    Some(violation("entitlements.limits", format!("{name} is {value}"), "write -1 for unlimited"))
}

/// Everything granted is known, and the packages that stand for a flag are in the edition.
fn entitlements(spec: &Spec, registry: &Registry) -> Option<Violation> {
    if let Some(limit) = spec.entitlements.limits.keys().find(|name| !registry.limits.contains_key(*name)) {
        let hint = "write it into entitlements.toml, with what enforces it";
        return Some(violation("entitlements.limits", format!("`{limit}` is unknown"), hint));
    }
    spec.entitlements.flags.iter().find_map(|name| {
        let Some(flag) = registry.flags.get(name) else {
            let hint = "write it into entitlements.toml, with the packages that stand for it";
            return Some(violation("entitlements.flags", format!("`{name}` is unknown"), hint));
        };
        let missing = flag.packages.iter().find(|package| !spec.packages.contains(package))?;
        let hint = format!("add `{missing}` to the packages, or remove the flag");
        Some(violation("entitlements.flags", format!("`{name}` takes `{missing}`, which is not there"), hint))
    })
}

//! The facts as pages show them: words and numbers in their final form.

use aegis_core::{manifest::ImageKind, time::UnixTime};
use aegis_editions::{
    Registry, Spec,
    registry::Enforcer,
    spec::{Desktop, Price, SecurityTier},
};

use super::{facts::Facts, matrix::Matrix};

/// Everything that a page may show.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) editions: Vec<Edition>,
    pub(super) matrix: Matrix,
    pub(super) games: Vec<Programs>,
    pub(super) releases: Vec<Medium>,
    pub(super) mirrors: Vec<String>,
    pub(super) version: String,
    pub(super) operator: String,
    pub(super) email: String,
    pub(super) address: Vec<String>,
    pub(super) license: &'static str,
}

/// An edition.
#[derive(Debug)]
pub(super) struct Edition {
    pub(super) id: &'static str,
    pub(super) href: String,
    pub(super) icon: &'static str,
    pub(super) name: String,
    pub(super) tagline: String,
    pub(super) best_for: String,
    pub(super) highlights: Vec<String>,
    pub(super) price: String,
    pub(super) lifetime: Option<String>,
    pub(super) annual: Option<String>,
    pub(super) free: bool,
    pub(super) contact: bool,
    pub(super) key: Option<String>,
    pub(super) users: String,
    pub(super) calls: String,
    pub(super) channel: String,
    pub(super) memory: String,
    pub(super) disk: String,
    pub(super) slot: String,
    pub(super) architectures: String,
    pub(super) desktop: &'static str,
    pub(super) serial: bool,
    pub(super) image: String,
    pub(super) level: u8,
    pub(super) security: Vec<Protection>,
    pub(super) features: Vec<Programs>,
    pub(super) limits: Vec<(String, String)>,
    pub(super) kernel: String,
    pub(super) fragments: Vec<String>,
    pub(super) packages: Vec<String>,
    pub(super) services: Vec<String>,
    pub(super) includes: Vec<Link>,
    pub(super) upgrades: Vec<Link>,
}

/// A link to an edition.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) name: String,
}

/// Something that protects, and whether it is there.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) about: &'static str,
    pub(super) there: bool,
}

/// A feature and what stands for it.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) about: String,
    pub(super) packages: Vec<String>,
    pub(super) enforced_by: &'static str,
}

/// A release.
#[derive(Debug)]
pub(super) struct Medium {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) file: String,
    pub(super) size: String,
    pub(super) sha256: String,
    pub(super) date: String,
    pub(super) url: String,
}

impl Shown {
    pub(super) fn of(facts: &Facts) -> Self {
        let link = |id: &aegis_core::edition::Edition| {
            let name = facts.specs.iter().find(|spec| spec.id == *id).map_or(id.id(), |spec| &spec.name);
            Link { href: href(id.id()), name: name.to_owned() }
        };
        let editions: Vec<_> = facts
            .specs
            .iter()
            .map(|spec| {
                let includes = spec.includes.iter().map(link).collect();
                Edition::of(spec, &facts.registry, includes, spec.upgrade_paths.iter().map(link).collect())
            })
            .collect();
        Self {
            matrix: Matrix::of(&facts.specs, &facts.registry),
            games: games(&facts.specs, &facts.registry),
            releases: facts.releases.iter().map(|release| Medium::of(release, &editions)).collect(),
            mirrors: facts.mirrors.clone(),
            editions,
            version: facts.version.clone(),
            operator: facts.operator.name.clone(),
            email: facts.operator.email.clone(),
            address: facts.operator.address.lines().map(str::to_owned).collect(),
            license: include_str!("../../../LICENSE"),
        }
    }

    /// Name of an image for commands: that of a release where there is one.
    pub(super) fn sample(&self) -> String {
        let first = self.releases.first().map(|release| release.file.clone());
        first.unwrap_or_else(|| format!("aegis-freemium-{}.iso", self.version))
    }

    /// Whether there is a release of an edition.
    pub(super) fn has(&self, id: &str) -> bool {
        self.releases.iter().any(|release| release.id == id)
    }

    /// How many editions cost nothing.
    pub(super) fn free(&self) -> usize {
        self.editions.iter().filter(|edition| edition.free).count()
    }

    /// The editions that games run on: those whose features are shown as such.
    pub(super) fn gaming(&self) -> impl Iterator<Item = &Edition> {
        self.editions.iter().filter(|edition| ["gamer", "gamer-ai"].contains(&edition.id))
    }
}

impl Edition {
    fn of(spec: &Spec, registry: &Registry, includes: Vec<Link>, upgrades: Vec<Link>) -> Self {
        let paid = |cents: u32| (cents > 0).then(|| money(u64::from(cents)));
        Self {
            id: spec.id.id(),
            href: href(spec.id.id()),
            icon: icon(spec.id),
            name: spec.name.clone(),
            tagline: spec.tagline.clone(),
            best_for: spec.best_for.clone(),
            highlights: spec.highlights.clone(),
            price: price(spec.price),
            lifetime: paid(spec.price.lifetime_cents),
            annual: paid(spec.price.annual_cents),
            free: spec.price.is_free(),
            contact: spec.price.contact_sales,
            key: spec.key_prefix.as_ref().map(|prefix| format!("{prefix}-XXXX-XXXX-XXXX")),
            users: grouped(u64::from(spec.service.max_users)),
            calls: calls(spec.service.api_calls_per_month),
            channel: spec.channel.to_string(),
            memory: size(u64::from(spec.memory_mib)),
            disk: size(u64::from(spec.disk.minimum_mib)),
            slot: size(u64::from(spec.disk.slot_mib)),
            architectures: spec.architectures.join(", "),
            desktop: desktop(spec.desktop),
            serial: spec.serial_console,
            image: image(spec),
            level: spec.security.level,
            security: protections(&spec.security),
            features: programs(spec.entitlements.flags.iter(), registry),
            limits: limits(spec, registry),
            kernel: spec.kernel.package.clone(),
            fragments: spec.kernel.fragments.clone(),
            packages: spec.packages.clone(),
            services: spec.services.enable.clone(),
            includes,
            upgrades,
        }
    }
}

impl Medium {
    fn of(release: &super::facts::Release, editions: &[Edition]) -> Self {
        let id = release.edition.id();
        let name = editions.iter().find(|edition| edition.id == id).map_or(id, |edition| &edition.name);
        Self {
            id,
            name: name.to_owned(),
            version: release.version.clone(),
            file: release.file.clone(),
            size: format!("{} ({} bytes)", size(release.size >> 20), grouped(release.size)),
            sha256: release.sha256.clone(),
            date: UnixTime(release.published).to_string().chars().take(10).collect(),
            url: release.url.clone(),
        }
    }
}

/// What `security` of a specification stands for, in the order in which it is shown.
pub(super) fn protections(tier: &SecurityTier) -> Vec<Protection> {
    [
        ("AppArmor profiles are loaded at boot", tier.confinement),
        ("Packet filter, and tools to set it", tier.firewall_tools),
        ("ClamAV scans on request; its signatures are kept up to date", tier.malware_scanner),
        ("Tools that run single programs in a sandbox", tier.sandbox_tools),
        ("fail2ban blocks addresses after repeated failed logins", tier.intrusion_prevention),
        ("The kernel's audit log is recorded", tier.audit_log),
    ]
    .map(|(about, there)| Protection { about, there })
    .into()
}

/// What the gaming editions grant beyond every edition that they inherit words from: features whose packages no other
/// edition has.
fn games(specs: &[Spec], registry: &Registry) -> Vec<Programs> {
    use aegis_core::edition::Edition::{Gamer, GamerAi};
    let others = specs.iter().filter(|spec| spec.id != Gamer && spec.id != GamerAi);
    let elsewhere: Vec<_> = others.flat_map(|spec| spec.entitlements.flags.iter()).collect();
    let gamer = specs.iter().filter(|spec| spec.id == Gamer).flat_map(|spec| spec.entitlements.flags.iter());
    let mut shown = programs(gamer.filter(|flag| !elsewhere.contains(flag)), registry);
    shown.retain(|feature| !feature.packages.is_empty());
    shown
}

fn programs<'a>(flags: impl Iterator<Item = &'a String>, registry: &Registry) -> Vec<Programs> {
    let known = flags.filter_map(|name| registry.flags.get(name));
    known
        .map(|flag| Programs {
            about: flag.about.clone(),
            packages: flag.packages.clone(),
            enforced_by: flag.enforced_by.map_or("", enforcer),
        })
        .collect()
}

fn limits(spec: &Spec, registry: &Registry) -> Vec<(String, String)> {
    let shown = spec.entitlements.limits.iter().filter(|(_, value)| **value != 0);
    shown
        .filter_map(|(name, value)| Some((registry.limits.get(name)?.about.clone(), limit(*value))))
        .collect()
}

/// An amount; below 0 is unlimited.
pub(super) fn limit(value: i64) -> String {
    u64::try_from(value).map_or_else(|_negative| "unlimited".into(), grouped)
}

const fn enforcer(enforcer: Enforcer) -> &'static str {
    match enforcer {
        Enforcer::License => "granted by the license",
        Enforcer::UpdateService => "granted by the update service",
    }
}

fn href(id: &str) -> String {
    format!("/editions/{id}")
}

/// What an edition costs, in a few words.
pub(super) fn price(price: Price) -> String {
    let cents = |cents: u32| money(u64::from(cents));
    match (price.contact_sales, price.lifetime_cents, price.annual_cents) {
        (true, ..) => "on request".into(),
        (false, 0, 0) => "free".into(),
        (false, lifetime, 0) => cents(lifetime),
        (false, 0, annual) => format!("{} a year", cents(annual)),
        (false, lifetime, annual) => format!("{}, or {} a year", cents(lifetime), cents(annual)),
    }
}

/// US dollars of cents: `$1,190`, `$0.50`.
pub(super) fn money(cents: u64) -> String {
    match cents % 100 {
        0 => format!("${}", grouped(cents / 100)),
        rest => format!("${}.{rest:02}", grouped(cents / 100)),
    }
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// MiB in the unit that reads best.
pub(super) fn size(mib: u64) -> String {
    let tenths = mib.saturating_mul(10) / 1024;
    match (tenths, tenths % 10) {
        (..10, _) => format!("{mib} MiB"),
        (_, 0) => format!("{} GiB", tenths / 10),
        (_, rest) => format!("{}.{rest} GiB", tenths / 10),
    }
}

/// Calls of the online service.
pub(super) fn calls(per_month: Option<u32>) -> String {
    per_month.map_or_else(|| "unlimited".into(), |calls| format!("{} a month", grouped(u64::from(calls))))
}

/// The graphical session.
pub(super) const fn desktop(desktop: Desktop) -> &'static str {
    match desktop {
        Desktop::None => "none",
        Desktop::Xfce => "XFCE",
    }
}

fn image(spec: &Spec) -> String {
    let kind = match spec.image.kind {
        ImageKind::Squashfs => "SquashFS",
        ImageKind::Erofs => "EROFS",
    };
    format!("{kind}, zstd level {}", spec.image.compression)
}

/// An edition's picture: ours, 24 by 24, in the colour of the text around it.
const fn icon(edition: aegis_core::edition::Edition) -> &'static str {
    use aegis_core::edition::Edition;
    match edition {
        Edition::Freemium => include_str!("../../assets/icons/freemium.svg"),
        Edition::Basic => include_str!("../../assets/icons/basic.svg"),
        Edition::Workplace => include_str!("../../assets/icons/workplace.svg"),
        Edition::Gamer => include_str!("../../assets/icons/gamer.svg"),
        Edition::AiDev => include_str!("../../assets/icons/ai-dev.svg"),
        Edition::GamerAi => include_str!("../../assets/icons/gamer-ai.svg"),
        Edition::Server => include_str!("../../assets/icons/server.svg"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (cents, text) in [(0, "$0"), (50, "$0.50"), (1900, "$19"), (1_190_000, "$11,900"), (5, "$0.05")] {
            assert_eq!(money(cents), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (mib, text) in
            [(0, "0 MiB"), (512, "512 MiB"), (1024, "1 GiB"), (1536, "1.5 GiB"), (102_400, "100 GiB")]
        {
            assert_eq!(size(mib), text);
        }
        assert_eq!((limit(-1), limit(1)), ("unlimited".into(), "1".into()));
    }

    #[test]
    fn games_are_what_only_gaming_editions_have() {
        let games = games(&Spec::all().unwrap(), &Registry::load().unwrap());
        let packages: Vec<_> = games.iter().flat_map(|feature| &feature.packages).collect();
        for package in ["steam-installer", "lutris", "wine", "gamemode", "retroarch"] {
            assert!(packages.iter().any(|found| *found == package), "{package}");
        }
        assert!(!packages.iter().any(|found| *found == "vlc" || *found == "nvtop"));
    }
}

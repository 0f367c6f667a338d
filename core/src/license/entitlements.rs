//! Features and limits: what an edition may grant, and what this machine is granted.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use serde::{Deserialize, Serialize};

use super::{claims::Setting, verdict::Grant};
use crate::edition::Edition;

/// Features and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlements {
    /// Features, snake_case.
    #[serde(default)]
    pub flags: BTreeSet<String>,
    /// Amounts, snake_case; -1 is unlimited.
    #[serde(default)]
    pub limits: BTreeMap<String, i64>,
}

impl Entitlements {
    /// Whether a feature is open.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// An amount; 0 for one that is not granted. `None` is unlimited.
    pub fn limit(&self, name: &str) -> Option<u64> {
        u64::try_from(self.limits.get(name).copied().unwrap_or(0)).ok()
    }

    /// What a machine with this edition may use. Without a grant it is what the free edition grants too: features that the
    /// edition has, limits as in the free one. With one, the license may set single entitlements differently.
    pub fn resolve(edition: &Self, free: &Self, grant: Option<&Grant>) -> Self {
        let Some(grant) = grant else {
            return Self {
                flags: edition.flags.intersection(&free.flags).cloned().collect(),
                limits: free.limits.clone(),
            };
        };
        let mut granted = edition.clone();
        for set in &grant.claims().overrides {
            let name = set.name.as_str();
            match set.setting {
                Setting::Flag(true) => drop(granted.flags.insert(name.into())),
                Setting::Flag(false) => drop(granted.flags.remove(name)),
                Setting::Limit(value) => drop(granted.limits.insert(name.into(), value)),
            }
        }
        granted
    }
}

/// Which editions a license opens, from the specifications: for each edition, those that it includes beside itself.
/// The free edition is open to everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inclusions(pub BTreeMap<Edition, BTreeSet<Edition>>);

impl Inclusions {
    /// Whether the owner of a license for `owned` may download and run `wanted`.
    pub fn allow(&self, owned: Option<Edition>, wanted: Edition) -> bool {
        wanted == Edition::Freemium
            || owned.is_some_and(|owned| {
                owned == wanted || self.0.get(&owned).is_some_and(|included| included.contains(&wanted))
            })
    }

    /// The editions that the owner of a license may download, in the order in which they are shown.
    pub fn downloads(&self, owned: Option<Edition>) -> impl Iterator<Item = Edition> + '_ {
        Edition::ALL.into_iter().filter(move |wanted| self.allow(owned, *wanted))
    }

    /// Other editions whose licenses hold for a machine that runs this one: [`super::verdict::Circumstances::also`].
    pub fn licensed_by(&self, running: Edition) -> impl Iterator<Item = Edition> + '_ {
        Edition::ALL.into_iter().filter(move |owned| *owned != running && self.allow(Some(*owned), running))
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use std::{string::ToString, vec::Vec};

    use super::*;
    use crate::{
        crypto::Ring,
        license::{
            claims::{
                Kind,
                tests::{sample, set},
            },
            document::License,
            machine::Machine,
            verdict::{Circumstances, Verdict, judge},
        },
        time::UnixTime,
    };

    fn entitlements(flags: &[&str], limits: &[(&str, i64)]) -> Entitlements {
        Entitlements {
            flags: flags.iter().map(ToString::to_string).collect(),
            limits: limits.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        }
    }

    /// The verdict on a license with overrides, at a time.
    fn verdict(now: i64, overrides: &[(&str, Setting)]) -> Verdict {
        let mut claims = sample(Kind::Annual);
        set(&mut claims, overrides);
        let here = Circumstances {
            edition: Edition::Gamer,
            also: &[],
            now: UnixTime(now),
            seen: None,
            machine: Machine::default(),
            revocations: None,
        };
        judge::<Ring>(&License::unsigned(claims), &here)
    }

    #[test]
    fn only_a_grant_opens_more_than_the_free_edition() {
        let edition = entitlements(&["desktop", "wine"], &[("machines", 3)]);
        let free = entitlements(&["desktop", "beta"], &[("machines", 1), ("trial_days", 14)]);
        let overrides =
            [("beta", Setting::Flag(true)), ("machines", Setting::Limit(-1)), ("wine", Setting::Flag(false))];
        let at = |now, overrides: &[_]| {
            let verdict = verdict(now, overrides);
            Entitlements::resolve(&edition, &free, verdict.grant())
        };
        assert_eq!(at(1_700_000_000, &[]), edition);
        let changed = at(1_700_000_000, &overrides);
        assert_eq!(changed, entitlements(&["beta", "desktop"], &[("machines", -1)]));
        assert_eq!((changed.has("beta"), changed.has("wine")), (true, false));
        assert_eq!(
            (changed.limit("machines"), changed.limit("other"), edition.limit("machines")),
            (None, Some(0), Some(3))
        );
        // Expired: overrides of the license are gone with it.
        let fallback = at(1_800_000_000, &overrides);
        assert_eq!(fallback, entitlements(&["desktop"], &[("machines", 1), ("trial_days", 14)]));
    }

    #[test]
    fn licenses_open_the_editions_that_are_included() {
        use Edition::{AiDev, Basic, Freemium, Gamer, GamerAi, Server};
        let inclusions =
            Inclusions([(GamerAi, [Gamer, AiDev].into()), (Server, [Basic].into())].into_iter().collect());
        let downloads = |owned| inclusions.downloads(owned).collect::<Vec<_>>();
        assert_eq!(downloads(None), [Freemium]);
        assert_eq!(downloads(Some(Basic)), [Freemium, Basic]);
        assert_eq!(downloads(Some(GamerAi)), [Freemium, Gamer, AiDev, GamerAi]);
        assert_eq!(downloads(Some(Server)), [Freemium, Basic, Server]);
        let licensed = |running| inclusions.licensed_by(running).collect::<Vec<_>>();
        assert_eq!(licensed(Gamer), [GamerAi]);
        assert_eq!(licensed(Server), []);
        assert_eq!(licensed(Basic), [Server]);
    }
}

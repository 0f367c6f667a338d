//! What licenses need to know of the editions, from their specifications.

use aegis_core::{
    edition::Edition,
    license::{
        entitlements::{Entitlements, Inclusions},
        key::{KeyError, LicenseKey},
        verdict::Grant,
    },
};

use crate::{Error, Spec};

/// Every edition as licenses see it.
#[derive(Clone, Debug)]
pub struct Licensing {
    specs: Vec<Spec>,
}

impl Licensing {
    /// From the specifications that this program carries.
    ///
    /// # Errors
    /// As [`Spec::all`].
    pub fn load() -> Result<Self, Error> {
        Ok(Self { specs: Spec::all()? })
    }

    /// The prefix of each edition that has license keys.
    pub fn prefixes(&self) -> Vec<(&str, Edition)> {
        self.specs.iter().filter_map(|spec| Some((spec.key_prefix.as_deref()?, spec.id))).collect()
    }

    /// Reads a license key that a person typed, and tells the edition that it is for.
    ///
    /// # Errors
    /// As [`LicenseKey::parse`].
    pub fn read_key(&self, text: &str) -> Result<(LicenseKey, Edition), KeyError> {
        LicenseKey::parse(text, &self.prefixes())
    }

    /// Which editions a license opens beside its own.
    pub fn inclusions(&self) -> Inclusions {
        Inclusions(self.specs.iter().map(|spec| (spec.id, spec.includes.clone())).collect())
    }

    /// What an edition grants to whoever has a license for it.
    pub fn sold(&self, edition: Edition) -> Entitlements {
        let spec = self.specs.iter().find(|spec| spec.id == edition);
        spec.map(|spec| spec.entitlements.clone()).unwrap_or_default()
    }

    /// What a machine with an edition may use.
    pub fn entitlements(&self, edition: Edition, grant: Option<&Grant>) -> Entitlements {
        if edition == Edition::Freemium {
            return self.sold(edition);
        }
        Entitlements::resolve(&self.sold(edition), &self.sold(Edition::Freemium), grant)
    }

    /// Editions that the owner of a license can change to.
    pub fn upgrades(&self, edition: Edition) -> &[Edition] {
        self.specs.iter().find(|spec| spec.id == edition).map_or(&[], |spec| &spec.upgrade_paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editions_have_the_prefixes_of_the_design() {
        let licensing = Licensing::load().unwrap();
        let prefixes: Vec<&str> = licensing.prefixes().into_iter().map(|(prefix, _)| prefix).collect();
        assert_eq!(prefixes, ["BSIC", "WORK", "GAME", "AIDV", "GMAI", "SERV"]);
    }

    /// No single change of a letter makes one prefix of another, so that the check code is not alone with it.
    #[test]
    fn prefixes_differ_in_two_letters_at_least() {
        let licensing = Licensing::load().unwrap();
        let prefixes = licensing.prefixes();
        for (one, _) in &prefixes {
            for (two, _) in prefixes.iter().filter(|(two, _)| two != one) {
                let differing = one.bytes().zip(two.bytes()).filter(|(one, two)| one != two).count();
                assert!(differing >= 2, "{one} {two}");
            }
        }
    }

    #[test]
    fn without_a_grant_no_edition_has_more_than_the_free_one() {
        let licensing = Licensing::load().unwrap();
        let free = licensing.entitlements(Edition::Freemium, None);
        assert!(free.has("basic_desktop"));
        for edition in Edition::ALL {
            let granted = licensing.entitlements(edition, None);
            assert!(granted.flags.is_subset(&free.flags), "{edition}");
            assert_eq!(granted.limits, free.limits, "{edition}");
        }
    }

    #[test]
    fn bundles_open_what_they_are_made_of() {
        let inclusions = Licensing::load().unwrap().inclusions();
        let downloads = |owned| inclusions.downloads(Some(owned)).map(Edition::id).collect::<Vec<_>>();
        assert_eq!(downloads(Edition::Basic), ["freemium", "basic"]);
        assert_eq!(downloads(Edition::GamerAi), ["freemium", "gamer", "ai-dev", "gamer-ai"]);
        assert_eq!(downloads(Edition::Server), ["freemium", "basic", "server"]);
        assert_eq!(downloads(Edition::Workplace), ["freemium", "workplace"]);
    }
}

//! The vocabulary of entitlements: what each means and what keeps the promise.
//!
//! Invariant: an edition grants no flag and no limit that is not written here, and no flag whose packages it lacks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{error::Error, source::Source};

/// Every entitlement, from `entitlements.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Features, by name.
    pub flags: BTreeMap<String, Flag>,
    /// Amounts, by name.
    pub limits: BTreeMap<String, Limit>,
}

/// A feature: either packages stand for it or a part of the system enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// What a person gets, one clause.
    pub about: String,
    /// Packages that every edition with the flag contains.
    #[serde(default)]
    pub packages: Vec<String>,
    /// What grants or refuses it.
    #[serde(default)]
    pub enforced_by: Option<Enforcer>,
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is counted, one clause.
    pub about: String,
    /// What refuses more.
    pub enforced_by: Enforcer,
}

/// A part of the system that grants or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcer {
    /// The license and what checks it.
    License,
    /// The service that hands out releases.
    UpdateService,
}

impl Registry {
    /// The list that this program carries.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn load() -> Result<Self, Error> {
        Source::Embedded.registry()
    }
}

//! The editions: one list, one edition, and what a license for it opens.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use aegis_core::{channel::Channel, edition::Edition};
use aegis_editions::{
    Spec,
    spec::{Price, SecurityTier, ServiceLimits},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{Api, body::Named};
use crate::http::{Code, Problem, choice};

/// The identifier of an edition, for the description.
pub(super) struct EditionId;

/// The identifier of a channel, for the description.
pub(super) struct ChannelId;

impl PartialSchema for EditionId {
    fn schema() -> RefOr<Schema> {
        choice("An edition", Edition::ALL.map(Edition::id))
    }
}

impl ToSchema for EditionId {
    fn name() -> Cow<'static, str> {
        "EditionId".into()
    }
}

impl PartialSchema for ChannelId {
    fn schema() -> RefOr<Schema> {
        choice("A stream of releases", Channel::ALL.map(Channel::id))
    }
}

impl ToSchema for ChannelId {
    fn name() -> Cow<'static, str> {
        "ChannelId".into()
    }
}

/// Every edition.
#[derive(Serialize, ToSchema)]
pub(super) struct Editions<'a> {
    editions: Vec<EditionEntry<'a>>,
}

/// An edition.
#[derive(Serialize, ToSchema)]
#[schema(as = Edition)]
pub(super) struct EditionEntry<'a> {
    #[schema(value_type = EditionId, inline = false)]
    id: Edition,
    name: &'a str,
    tagline: &'a str,
    /// Whom it suits.
    best_for: &'a str,
    highlights: &'a [String],
    /// As `#rrggbb`.
    colour: &'a str,
    /// What its license keys begin with; null when it needs none.
    key_prefix: Option<&'a str>,
    price: PriceEntry,
    service: ServiceEntry,
    #[schema(value_type = ChannelId, inline = false)]
    channel: Channel,
    security: SecurityEntry,
    /// Debian architectures, the native one first.
    architectures: &'a [String],
    /// Memory that it needs.
    memory_mib: u32,
    /// The smallest disk that it fits on.
    disk_mib: u32,
    /// Editions that an owner can change to.
    #[schema(value_type = Vec<EditionId>)]
    upgrade_paths: &'a [Edition],
    /// Other editions that a license for it opens too.
    #[schema(value_type = Vec<EditionId>)]
    includes: &'a BTreeSet<Edition>,
}

/// A price in cents of US dollars.
#[derive(Serialize, ToSchema)]
#[schema(as = Price)]
pub(super) struct PriceEntry {
    free: bool,
    /// The price is agreed with a person; both amounts are 0.
    contact_sales: bool,
    /// For ever.
    lifetime_cents: u32,
    /// For a year.
    annual_cents: u32,
}

impl From<Price> for PriceEntry {
    fn from(price: Price) -> Self {
        let Price { lifetime_cents, annual_cents, contact_sales } = price;
        Self { free: price.is_free(), contact_sales, lifetime_cents, annual_cents }
    }
}

/// What the online service grants.
#[derive(Serialize, ToSchema)]
#[schema(as = Service)]
pub(super) struct ServiceEntry {
    /// Users of one account.
    max_users: u32,
    /// Null when unlimited.
    api_calls_per_month: Option<u32>,
}

impl From<ServiceLimits> for ServiceEntry {
    fn from(limits: ServiceLimits) -> Self {
        let ServiceLimits { max_users, api_calls_per_month } = limits;
        Self { max_users, api_calls_per_month }
    }
}

/// What protects it, beside the verified root image that every edition has.
#[derive(Serialize, ToSchema)]
#[schema(as = Security)]
pub(super) struct SecurityEntry {
    /// 1 to 5.
    level: u8,
    confinement: bool,
    firewall_tools: bool,
    malware_scanner: bool,
    sandbox_tools: bool,
    intrusion_prevention: bool,
    audit_log: bool,
}

impl From<SecurityTier> for SecurityEntry {
    fn from(tier: SecurityTier) -> Self {
        Self {
            level: tier.level,
            confinement: tier.confinement,
            firewall_tools: tier.firewall_tools,
            malware_scanner: tier.malware_scanner,
            sandbox_tools: tier.sandbox_tools,
            intrusion_prevention: tier.intrusion_prevention,
            audit_log: tier.audit_log,
        }
    }
}

impl<'a> From<&'a Spec> for EditionEntry<'a> {
    fn from(spec: &'a Spec) -> Self {
        Self {
            id: spec.id,
            name: &spec.name,
            tagline: &spec.tagline,
            best_for: &spec.best_for,
            highlights: &spec.highlights,
            colour: &spec.colour.site,
            key_prefix: spec.key_prefix.as_deref(),
            price: spec.price.into(),
            service: spec.service.into(),
            channel: spec.channel,
            security: spec.security.into(),
            architectures: &spec.architectures,
            memory_mib: spec.memory_mib,
            disk_mib: spec.disk.minimum_mib,
            upgrade_paths: &spec.upgrade_paths,
            includes: &spec.includes,
        }
    }
}

/// What a license for an edition opens.
#[derive(Serialize, ToSchema)]
pub(super) struct Features<'a> {
    #[schema(value_type = EditionId, inline = false)]
    edition: Edition,
    /// Every feature that there is, also those that are not granted.
    features: Vec<Feature<'a>>,
    limits: Vec<Limit<'a>>,
}

/// A feature.
#[derive(Serialize, ToSchema)]
pub(super) struct Feature<'a> {
    name: &'a str,
    about: &'a str,
    granted: bool,
}

/// An amount.
#[derive(Serialize, ToSchema)]
pub(super) struct Limit<'a> {
    name: &'a str,
    about: &'a str,
    value: i64,
}

/// The JSON of something that borrows from the interface.
pub(super) type Answer = Json<serde_json::Value>;

/// Plain data, which always serialises.
pub(super) fn answer(value: &impl Serialize) -> Result<Answer, Problem> {
    serde_json::to_value(value).map(Json).map_err(|_impossible| Problem::new(Code::Internal))
}

impl Api {
    fn spec(&self, edition: Edition) -> Result<&Spec, Problem> {
        let found = self.specs.iter().find(|spec| spec.id == edition);
        found.ok_or_else(|| Problem::new(Code::NotFound).because("there is no such edition"))
    }
}

/// Every edition, in the order in which they are shown.
#[utoipa::path(get, path = "/api/v1/editions", tag = "catalogue",
    responses((status = 200, description = "The editions", body = Editions)))]
pub(super) async fn editions(State(api): State<Arc<Api>>) -> Result<Answer, Problem> {
    answer(&Editions { editions: api.specs.iter().map(EditionEntry::from).collect() })
}

/// One edition.
#[utoipa::path(get, path = "/api/v1/editions/{id}", tag = "catalogue",
    params(("id" = EditionId, Path, description = "The edition")),
    responses((status = 200, description = "The edition", body = EditionEntry)))]
pub(super) async fn edition(State(api): State<Arc<Api>>, Named(id): Named) -> Result<Answer, Problem> {
    answer(&EditionEntry::from(api.spec(id)?))
}

/// What a license for an edition opens, and within which limits.
#[utoipa::path(get, path = "/api/v1/editions/{id}/features", tag = "catalogue",
    params(("id" = EditionId, Path, description = "The edition")),
    responses((status = 200, description = "Its features and limits", body = Features)))]
pub(super) async fn features(State(api): State<Arc<Api>>, Named(id): Named) -> Result<Answer, Problem> {
    let spec = api.spec(id)?;
    let features = api.registry.flags.iter().map(|(name, flag)| Feature {
        name,
        about: &flag.about,
        granted: spec.entitlements.flags.contains(name),
    });
    let limits = spec.entitlements.limits.iter().map(|(name, value)| Limit {
        name,
        about: api.registry.limits.get(name).map_or("", |limit| &limit.about),
        value: *value,
    });
    answer(&Features { edition: id, features: features.collect(), limits: limits.collect() })
}

//! What the editions cost, and which of them suit a number of users.

use std::sync::Arc;

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::{Body, whole},
    catalogue::{Answer, EditionId, answer},
};
use crate::http::Problem;

/// The currency of every price.
const CURRENCY: &str = "USD";
/// Users that can be asked for.
const USERS: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// The prices of all editions.
#[derive(Serialize, ToSchema)]
pub(super) struct Pricing<'a> {
    /// ISO 4217.
    currency: &'a str,
    editions: Vec<EditionPrice<'a>>,
}

/// The prices of an edition; both are for one account with all its users.
#[derive(Serialize, ToSchema)]
pub(super) struct EditionPrice<'a> {
    #[schema(value_type = EditionId, inline = false)]
    edition: Edition,
    name: &'a str,
    /// The price is agreed with a person; both amounts are 0.
    contact_sales: bool,
    lifetime_cents: u32,
    annual_cents: u32,
    /// Users of one account.
    max_users: u32,
}

/// For how long a price is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Term {
    Annual,
    Lifetime,
}

/// What is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Users of the account.
    #[schema(minimum = 1, maximum = 1_000_000, example = 25)]
    #[serde(deserialize_with = "whole")]
    users: u32,
    #[schema(inline = false)]
    term: Term,
}

/// The editions that suit, the cheapest first; those whose price is agreed with a person last.
#[derive(Serialize, ToSchema)]
pub(super) struct Offers<'a> {
    users: u32,
    #[schema(inline = false)]
    term: Term,
    /// ISO 4217.
    currency: &'a str,
    offers: Vec<Offer<'a>>,
}

/// An edition and its price for the term.
#[derive(Serialize, ToSchema)]
pub(super) struct Offer<'a> {
    #[schema(value_type = EditionId, inline = false)]
    edition: Edition,
    name: &'a str,
    /// Null when the price is agreed with a person.
    price_cents: Option<u32>,
    /// Users of one account.
    max_users: u32,
}

impl<'a> Offer<'a> {
    fn new(spec: &'a Spec, term: Term) -> Self {
        let cents = match term {
            Term::Annual => spec.price.annual_cents,
            Term::Lifetime => spec.price.lifetime_cents,
        };
        let price_cents = (!spec.price.contact_sales).then_some(cents);
        Self { edition: spec.id, name: &spec.name, price_cents, max_users: spec.service.max_users }
    }

    /// Whether the edition is sold, or given, for the term.
    fn is_sold(&self, spec: &Spec) -> bool {
        self.price_cents != Some(0) || spec.price.is_free()
    }
}

/// What the editions cost.
#[utoipa::path(get, path = "/api/v1/pricing", tag = "pricing",
    responses((status = 200, description = "The prices", body = Pricing)))]
pub(super) async fn pricing(State(api): State<Arc<Api>>) -> Result<Answer, Problem> {
    let price = |spec: &'_ Spec| (spec.price, spec.service.max_users);
    let editions = api.specs.iter().map(|spec| {
        let (price, max_users) = price(spec);
        EditionPrice {
            edition: spec.id,
            name: &spec.name,
            contact_sales: price.contact_sales,
            lifetime_cents: price.lifetime_cents,
            annual_cents: price.annual_cents,
            max_users,
        }
    });
    answer(&Pricing { currency: CURRENCY, editions: editions.collect() })
}

/// Which editions suit a number of users, and what each costs.
#[utoipa::path(post, path = "/api/v1/pricing/calculator", tag = "pricing",
    request_body(content = Wanted, description = "What is wanted"),
    responses((status = 200, description = "The editions that suit", body = Offers)))]
pub(super) async fn calculator(
    State(api): State<Arc<Api>>,
    Body(wanted): Body<Wanted>,
) -> Result<Answer, Problem> {
    let Wanted { users, term } = wanted;
    if !USERS.contains(&users) {
        return Err(Problem::field("users", format!("must be from {} to {}", USERS.start(), USERS.end())));
    }
    let suiting = api.specs.iter().filter(|spec| spec.service.max_users >= users);
    let sold = suiting.filter_map(|spec| Some(Offer::new(spec, term)).filter(|offer| offer.is_sold(spec)));
    let mut offers: Vec<_> = sold.collect();
    offers.sort_by_key(|offer| (offer.price_cents.is_none(), offer.price_cents));
    answer(&Offers { users, term, currency: CURRENCY, offers })
}

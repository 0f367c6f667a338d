//! The calculator: what licenses for so many computers cost. A form without a script; the answer is the page again.

use aegis_editions::Spec;
use axum::{extract::Query, http::Uri};

use super::shown;

/// Digits of the largest number that is read.
const DIGITS: usize = 9;

/// How long licenses are to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Term {
    /// A year at a time.
    #[default]
    Annual,
    /// For ever.
    Lifetime,
}

/// The form as it was sent, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// What stands in the field.
    pub(super) users: String,
    pub(super) term: Term,
    pub(super) users_fault: Option<String>,
    pub(super) term_fault: Option<String>,
    /// `None` as long as there is nothing to answer.
    pub(super) offers: Option<Vec<Offer>>,
}

/// What an edition costs for that many.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) each: String,
    pub(super) total: Total,
    /// Years after which a license for ever has cost less, where there are both.
    pub(super) pays_after: Option<u32>,
}

/// The sum.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Total {
    /// Nothing.
    Free,
    /// US dollars.
    Sum(String),
    /// A person says it.
    OnRequest,
    /// More than an account of this edition may have; that is the most.
    TooMany(String),
    /// Not sold for this term.
    NotSold,
}

impl Form {
    /// Reads a query such as `users=20&term=annual`; names that are not fields are left alone.
    pub(super) fn read(query: &str, specs: &[Spec]) -> Self {
        let mut form = Self::default();
        let Some(pairs) = pairs(query) else {
            form.users_fault = Some("The address cannot be read; fill in the form again.".into());
            return form;
        };
        let field = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        match field("term") {
            None | Some("annual") => {}
            Some("lifetime") => form.term = Term::Lifetime,
            Some(_) => form.term_fault = Some("Choose one of the two.".into()),
        }
        let Some(users) = field("users") else { return form };
        form.users = users.chars().filter(|c| !c.is_control()).take(DIGITS).collect();
        let most = specs.iter().map(|spec| spec.service.max_users).max().unwrap_or(0);
        let number = users.parse().ok().filter(|number| (1..=most).contains(number));
        match number.filter(|_| users.bytes().all(|byte| byte.is_ascii_digit())) {
            None => {
                let most = shown::grouped(u64::from(most));
                form.users_fault = Some(format!("Write a whole number from 1 to {most}, in digits."));
            }
            Some(number) if form.term_fault.is_none() => {
                form.offers = Some(specs.iter().map(|spec| offer(spec, number, form.term)).collect());
            }
            Some(_) => {}
        }
        form
    }

    pub(super) fn lifetime(&self) -> bool {
        self.term == Term::Lifetime
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.users_fault.is_some() || self.term_fault.is_some()
    }
}

fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let uri: Uri = format!("/?{query}").parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(pairs)| pairs)
}

fn offer(spec: &Spec, users: u32, term: Term) -> Offer {
    let (lifetime, annual) = (spec.price.lifetime_cents, spec.price.annual_cents);
    let cents = match term {
        Term::Annual => annual,
        Term::Lifetime => lifetime,
    };
    let total = if users > spec.service.max_users {
        Total::TooMany(shown::grouped(u64::from(spec.service.max_users)))
    } else if spec.price.contact_sales {
        Total::OnRequest
    } else if spec.price.is_free() {
        Total::Free
    } else if cents == 0 {
        Total::NotSold
    } else {
        Total::Sum(shown::money(u64::from(cents) * u64::from(users)))
    };
    let each = match cents {
        _ if spec.price.contact_sales => "on request".into(),
        _ if spec.price.is_free() => "free".into(),
        0 => "-".into(),
        cents => shown::money(u64::from(cents)),
    };
    // In the year after these, the sum of the years is more than the price for ever.
    let pays_after = (lifetime > 0).then(|| lifetime.checked_div(annual)).flatten();
    Offer { id: spec.id.id(), name: spec.name.clone(), each, total, pays_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<Spec> {
        Spec::all().unwrap()
    }

    fn total(query: &str, id: &str) -> Total {
        let offers = Form::read(query, &specs()).offers.unwrap();
        offers.into_iter().find(|offer| offer.id == id).unwrap().total
    }

    #[test]
    fn sums_are_price_times_number() {
        for spec in specs() {
            let sum = |cents: u32| Total::Sum(shown::money(u64::from(cents) * 7));
            for (term, cents) in
                [("annual", spec.price.annual_cents), ("lifetime", spec.price.lifetime_cents)]
            {
                let expected = match (spec.price.is_free(), spec.price.contact_sales) {
                    (true, _) => Total::Free,
                    (_, true) => Total::OnRequest,
                    _ => sum(cents),
                };
                assert_eq!(total(&format!("users=7&term={term}"), spec.id.id()), expected);
            }
        }
    }

    #[test]
    fn an_edition_is_offered_to_its_limit_and_no_further() {
        let basic = specs().into_iter().find(|spec| spec.id.id() == "basic").unwrap();
        let most = basic.service.max_users;
        assert!(matches!(total(&format!("users={most}"), "basic"), Total::Sum(_)));
        assert!(matches!(total(&format!("users={}", most + 1), "basic"), Total::TooMany(_)));
    }

    #[test]
    fn what_is_wrong_is_said_and_never_computed() {
        let specs = specs();
        for query in [
            "users=",
            "users=0",
            "users=-1",
            "users=%2B1",
            "users=1.5",
            "users=1e3",
            "users=abc",
            "users=4294967296",
            "users=99999999999999999999999999",
            "users=%00",
            "users=%FF",
            "users=%D9%A1",
            "users=100001",
        ] {
            let form = Form::read(query, &specs);
            assert!(form.users_fault.is_some() && form.offers.is_none(), "{query}");
            assert!(form.users.chars().count() <= DIGITS);
        }
        let form = Form::read("users=5&term=weekly", &specs);
        assert!(form.term_fault.is_some() && form.offers.is_none());
        assert!(Form::read("users=5 6\u{7f}", &specs).is_wrong());
    }

    #[test]
    fn nothing_asked_is_nothing_wrong() {
        for query in ["", "term=lifetime", "utm_source=x", "&&&"] {
            let form = Form::read(query, &specs());
            assert!(!form.is_wrong() && form.offers.is_none(), "{query}");
        }
        assert!(Form::read("users=%201%20&term=annual", &specs()).offers.is_some());
        assert!(Form::read("users=2&users=bad", &specs()).offers.is_some());
    }
}

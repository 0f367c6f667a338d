//! How many encoders NVIDIA's driver lets programs open at once: `hw/data/nvenc-sessions.txt`.

use std::fmt;

use serde::Serialize;

use super::answer::Brand;

const TABLE: &str = include_str!("../../data/nvenc-sessions.txt");

/// A limit of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "limit")]
pub enum Sessions {
    /// As many in the whole system, over all cards of the sort.
    System {
        /// Most sessions.
        most: u32,
        /// The driver branch from which this holds.
        since_driver: u32,
        /// Year and month of the source.
        since: &'static str,
    },
    /// As many as memory holds.
    Memory,
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { most, since_driver: 0, .. } => write!(f, "at most {most} sessions in the system"),
            Self::System { most, since_driver, since } => {
                write!(f, "at most {most} sessions in the system (driver {since_driver}, {since})")
            }
            Self::Memory => f.write_str("sessions limited by memory alone"),
        }
    }
}

/// Lines of a kind, without it.
fn lines(kind: &str) -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(" | "))
}

/// Branch, sessions and date of a line with a limit.
fn limit(line: &'static str) -> Option<(u32, u32, &'static str)> {
    let mut fields = line.split(" | ");
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?))
}

/// The limit of a product under a driver. `None` when nobody has said, or the driver's version is not known.
pub(super) fn sessions(name: Option<&str>, brand: Option<Brand>, version: Option<&str>) -> Option<Sessions> {
    let named = |kind: &str| {
        let name = name.unwrap_or_default();
        lines(kind).any(|line| line.split(['/', ',']).map(str::trim).any(|word| name.contains(word)))
    };
    if named("unlimited") && brand != Some(Brand::GeForce) {
        return Some(Sessions::Memory);
    }
    if brand != Some(Brand::GeForce) && (brand.is_some() || !named("geforce")) {
        return None;
    }
    let branch: u32 = version?.split('.').next()?.parse().ok()?;
    let newest =
        lines("limit").filter_map(limit).filter(|(from, ..)| *from <= branch).max_by_key(|line| line.0)?;
    Some(Sessions::System { most: newest.1, since_driver: newest.0, since: newest.2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(name: &str, version: &str) -> Option<u32> {
        match sessions(Some(name), None, Some(version))? {
            Sessions::System { most, .. } => Some(most),
            Sessions::Memory => None,
        }
    }

    #[test]
    fn the_limit_of_geforce_is_that_of_the_driver() {
        let name = "AD102 [GeForce RTX 4090]";
        let all =
            [("390.157", 2), ("470.256.02", 3), ("525.147.05", 3), ("535.183.01", 5), ("550.163.01", 8)];
        for (version, expected) in all {
            assert_eq!(most(name, version), Some(expected), "{version}");
        }
        assert_eq!(sessions(Some(name), None, None), None);
        assert_eq!(sessions(Some(name), None, Some("x")), None);
    }

    #[test]
    fn qualified_products_have_none_and_others_are_not_guessed() {
        let of = |name, brand| sessions(Some(name), brand, Some("550.163.01"));
        assert_eq!(of("AD102GL [L40S]", None), Some(Sessions::Memory));
        assert_eq!(of("Tesla T4", Some(Brand::Professional)), Some(Sessions::Memory));
        assert_eq!(of("GP107GL [Quadro P400]", None), None);
        assert_eq!(of("NVIDIA T400", Some(Brand::Professional)), None);
        assert_eq!(of("TITAN V", None), None);
        // The brand decides where a name is missing or lies.
        assert!(matches!(
            sessions(None, Some(Brand::GeForce), Some("550.1")),
            Some(Sessions::System { most: 8, .. })
        ));
        assert!(matches!(of("Tesla", Some(Brand::GeForce)), Some(Sessions::System { .. })));
    }

    #[test]
    fn every_line_is_read_in_the_order_of_its_branches() {
        let limits: Vec<_> = lines("limit").map(|line| limit(line).unwrap()).collect();
        assert!(limits.len() >= 4 && limits.is_sorted_by_key(|line| (line.0, line.1)));
        let kinds = ["limit", "geforce", "unlimited"].iter().map(|kind| lines(kind).count()).sum::<usize>();
        assert_eq!(kinds, TABLE.lines().filter(|line| !line.starts_with('#')).count());
    }
}

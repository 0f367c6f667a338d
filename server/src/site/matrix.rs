//! The comparison: a row for each property, a column for each edition.

use aegis_editions::{Registry, Spec};

use super::shown;

/// The whole table.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) groups: Vec<Group>,
}

/// Rows under one heading.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// A property.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) about: String,
    pub(super) cells: Vec<Cell>,
}

/// What an edition has of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Yes,
    No,
    Text(String),
}

impl Matrix {
    pub(super) fn of(specs: &[Spec], registry: &Registry) -> Self {
        let mut groups = vec![prices(specs, registry), needs(specs), security(specs)];
        groups.extend(features(specs, registry));
        Self { groups }
    }
}

fn row(about: &str, specs: &[Spec], cell: impl Fn(&Spec) -> Cell) -> Row {
    Row { about: about.into(), cells: specs.iter().map(cell).collect() }
}

fn text(about: &str, specs: &[Spec], value: impl Fn(&Spec) -> String) -> Row {
    row(about, specs, |spec| Cell::Text(value(spec)))
}

const fn answer(there: bool) -> Cell {
    if there { Cell::Yes } else { Cell::No }
}

fn amount(cents: u32) -> Cell {
    if cents == 0 { Cell::No } else { Cell::Text(shown::money(u64::from(cents))) }
}

fn prices(specs: &[Spec], registry: &Registry) -> Group {
    let mut rows = vec![
        text("Price", specs, |spec| match (spec.price.is_free(), spec.price.contact_sales) {
            (true, _) => "free".into(),
            (_, true) => "on request".into(),
            _ => "paid".into(),
        }),
        row("For ever", specs, |spec| amount(spec.price.lifetime_cents)),
        row("For a year", specs, |spec| amount(spec.price.annual_cents)),
        row("License key", specs, |spec| match &spec.key_prefix {
            Some(prefix) => Cell::Text(format!("{prefix}-…")),
            None => Cell::No,
        }),
    ];
    rows.extend(registry.limits.iter().map(|(name, limit)| {
        row(&limit.about, specs, |spec| match spec.entitlements.limits.get(name) {
            None | Some(0) => Cell::No,
            Some(value) => Cell::Text(shown::limit(*value)),
        })
    }));
    rows.push(text("Users of one account", specs, |spec| shown::grouped(u64::from(spec.service.max_users))));
    rows.push(text("Calls of the online service", specs, |spec| {
        shown::calls(spec.service.api_calls_per_month)
    }));
    Group { title: "Price and license".into(), rows }
}

fn needs(specs: &[Spec]) -> Group {
    let rows = vec![
        text("Memory", specs, |spec| shown::size(u64::from(spec.memory_mib))),
        text("Disk", specs, |spec| shown::size(u64::from(spec.disk.minimum_mib))),
        text("Architectures", specs, |spec| spec.architectures.join(", ")),
        text("Desktop", specs, |spec| shown::desktop(spec.desktop).into()),
        row("Login on the first serial port", specs, |spec| answer(spec.serial_console)),
        text("Channel of releases", specs, |spec| spec.channel.to_string()),
    ];
    Group { title: "System".into(), rows }
}

fn security(specs: &[Spec]) -> Group {
    let mut rows = vec![text("Level, compared with the other editions", specs, |spec| {
        format!("{} of 5", spec.security.level)
    })];
    let flags: Vec<_> = specs.iter().map(|spec| shown::protections(&spec.security)).collect();
    let about = flags.first().map_or(&[][..], |first| first.as_slice());
    for (at, protection) in about.iter().enumerate() {
        let cells = flags.iter().map(|all| answer(all.get(at).is_some_and(|one| one.there))).collect();
        rows.push(Row { about: protection.about.into(), cells });
    }
    Group { title: "Security".into(), rows }
}

/// Features, each under the first edition that has it.
fn features(specs: &[Spec], registry: &Registry) -> Vec<Group> {
    let mut rest: Vec<_> = registry.flags.iter().collect();
    let mut groups = Vec::new();
    for spec in specs {
        let (here, later): (Vec<_>, _) =
            rest.into_iter().partition(|(name, _)| spec.entitlements.flags.contains(*name));
        rest = later;
        let has = |name: &String, spec: &Spec| answer(spec.entitlements.flags.contains(name));
        let rows: Vec<_> =
            here.into_iter().map(|(name, flag)| row(&flag.about, specs, |spec| has(name, spec))).collect();
        if !rows.is_empty() {
            groups.push(Group { title: format!("From {} on", spec.name), rows });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_cell_for_every_edition_and_every_granted_feature_is_there() {
        let (specs, registry) = (Spec::all().unwrap(), Registry::load().unwrap());
        let matrix = Matrix::of(&specs, &registry);
        let rows: Vec<_> = matrix.groups.iter().flat_map(|group| &group.rows).collect();
        assert!(rows.iter().all(|row| row.cells.len() == specs.len()));
        for (name, flag) in &registry.flags {
            let row = rows.iter().find(|row| row.about == flag.about).unwrap();
            for (cell, spec) in row.cells.iter().zip(&specs) {
                assert_eq!(*cell == Cell::Yes, spec.entitlements.flags.contains(name), "{name} {}", spec.id);
            }
        }
    }
}

//! Binding a license to a machine so that a repair does not break it.
//!
//! A license holds salted digests of four to six parts of a machine; more than half of them must be found again. The salt
//! is drawn for each license, so that two licenses do not tell that they are for the same machine.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{crypto::Crypto, hex::Hex};

/// A part of a machine that has a name of its own. The order is that of license documents: never change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// UUID of the system in SMBIOS (type 1).
    SystemUuid,
    /// Serial number of the main board in SMBIOS (type 2).
    BoardSerial,
    /// Serial number of the system in SMBIOS (type 1).
    SystemSerial,
    /// Serial number or WWN of the disk that the system runs from.
    Disk,
    /// Permanent address of the first network card.
    NetworkCard,
    /// `/etc/machine-id` of the installation.
    Installation,
}

impl Component {
    /// Every component, in the order of the documents.
    pub const ALL: [Self; 6] = [
        Self::SystemUuid,
        Self::BoardSerial,
        Self::SystemSerial,
        Self::Disk,
        Self::NetworkCard,
        Self::Installation,
    ];

    /// The identifier, such as `system-uuid`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SystemUuid => "system-uuid",
            Self::BoardSerial => "board-serial",
            Self::SystemSerial => "system-serial",
            Self::Disk => "disk",
            Self::NetworkCard => "network-card",
            Self::Installation => "installation",
        }
    }
}

/// Fewest components that a binding has.
pub const LEAST: usize = 4;
/// Most components that a binding has.
pub const MOST: usize = Component::ALL.len();

/// The digest of a component's value: the first eight bytes of a SHA-256. Longer ones would only make documents longer;
/// a chance match of most components is out of reach.
pub type ComponentDigest = Hex<8>;

/// What a license is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Random, for this license alone.
    pub salt: Hex<8>,
    /// The components, in ascending order.
    pub components: Vec<(Component, ComponentDigest), MOST>,
}

/// The parts of the machine that a program runs on, as it reads them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine<'a> {
    values: [Option<&'a str>; MOST],
}

impl<'a> Machine<'a> {
    /// Keeps the values that say something. A component may be missing; one that every machine of a kind has, such as
    /// `To Be Filled By O.E.M.` or only zeros, counts as missing.
    pub fn new(values: impl IntoIterator<Item = (Component, &'a str)>) -> Self {
        let mut machine = Self::default();
        for (component, value) in values {
            machine.values[component as usize] = Some(value.trim()).filter(|value| is_telling(value));
        }
        machine
    }

    /// How many components are known.
    pub fn known(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// Binds a license to this machine; `None` with fewer than [`LEAST`] known components.
    pub fn bind<C: Crypto>(&self, salt: [u8; 8]) -> Option<Binding> {
        let salt = Hex(salt);
        let components = Component::ALL
            .into_iter()
            .filter_map(|component| Some((component, self.digest::<C>(salt, component)?)))
            .collect();
        (self.known() >= LEAST).then_some(Binding { salt, components })
    }

    fn digest<C: Crypto>(&self, salt: Hex<8>, component: Component) -> Option<ComponentDigest> {
        let value = self.values[component as usize]?.as_bytes();
        let mut digest = [0; 8];
        let name = component.id().as_bytes();
        let parts: [&[u8]; 5] = [b"aegis-os machine v1\0", &salt.0, name, b"\0", value];
        digest.copy_from_slice(&C::sha256(&parts).0[..8]);
        Some(Hex(digest))
    }
}

/// Firmware writes such things where a serial number belongs.
fn is_telling(value: &str) -> bool {
    const FILLERS: [&str; 10] = [
        "0123456789",
        "123456789",
        "default string",
        "n/a",
        "none",
        "not applicable",
        "not specified",
        "system serial number",
        "to be filled by o.e.m.",
        "unknown",
    ];
    let mut symbols = value.chars().filter(|symbol| symbol.is_alphanumeric());
    let first = symbols.next();
    let varies = symbols.any(|symbol| Some(symbol) != first);
    varies && !FILLERS.iter().any(|filler| value.eq_ignore_ascii_case(filler))
}

impl Binding {
    /// How many of the components must be found: more than half.
    pub fn needed(&self) -> usize {
        self.components.len() / 2 + 1
    }

    /// How many of the components are found on a machine.
    pub fn matched<C: Crypto>(&self, machine: &Machine<'_>) -> usize {
        let found = |(component, digest): &&(Component, ComponentDigest)| {
            machine.digest::<C>(self.salt, *component) == Some(*digest)
        };
        self.components.iter().filter(found).count()
    }

    /// Whether number and order of the components are as they must be.
    pub(crate) fn is_sound(&self) -> bool {
        self.components.len() >= LEAST && self.components.is_sorted_by(|one, two| one.0 < two.0)
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::crypto::Ring;

    const VALUES: [(Component, &str); MOST] = [
        (Component::SystemUuid, "4c4c4544-0043-4b10-8056-b4c04f4d3333"),
        (Component::BoardSerial, "/2CKMV33/CNWS2008C900AA/"),
        (Component::SystemSerial, "2CKMV33"),
        (Component::Disk, "S4DXNX0R812345"),
        (Component::NetworkCard, "a4:bb:6d:00:11:22"),
        (Component::Installation, "b08dfa6083e7567a1921a715000001fb"),
    ];

    /// The machine with the first `count` components, of which those in `changed` are others.
    fn machine(count: usize, changed: &[usize]) -> Machine<'static> {
        Machine::new(VALUES.into_iter().take(count).enumerate().map(|(index, (component, value))| {
            (component, if changed.contains(&index) { "another part" } else { value })
        }))
    }

    #[test]
    fn most_must_match_whichever_they_are() {
        for (count, needed) in [(4, 3), (5, 3), (6, 4)] {
            let binding = machine(count, &[]).bind::<Ring>([9; 8]).unwrap();
            assert!(binding.is_sound());
            assert_eq!(binding.needed(), needed);
            for mask in 0..1_u32 << count {
                let changed: Vec<usize> = (0..count).filter(|bit| mask >> bit & 1 == 1).collect();
                let found = binding.matched::<Ring>(&machine(count, &changed));
                assert_eq!(found, count - changed.len());
            }
            assert_eq!(binding.matched::<Ring>(&Machine::default()), 0);
        }
        assert_eq!(machine(3, &[]).bind::<Ring>([9; 8]), None);
    }

    #[test]
    fn digests_differ_by_salt_and_component() {
        let one = machine(6, &[]).bind::<Ring>([1; 8]).unwrap();
        let two = machine(6, &[]).bind::<Ring>([2; 8]).unwrap();
        assert!(one.components.iter().zip(&two.components).all(|(one, two)| one.1 != two.1));
        let same = Machine::new(Component::ALL.into_iter().map(|component| (component, "the same")));
        let bound = same.bind::<Ring>([1; 8]).unwrap();
        let digests: std::collections::HashSet<_> =
            bound.components.iter().map(|(_, digest)| digest).collect();
        assert_eq!(digests.len(), MOST);
    }

    #[test]
    fn what_every_machine_has_says_nothing() {
        for filler in [
            "",
            " ",
            "00000000-0000-0000-0000-000000000000",
            "FF:FF:FF:FF:FF:FF",
            "To Be Filled By O.E.M.",
            "Default string",
            "N/A",
            "0",
        ] {
            assert_eq!(Machine::new([(Component::Disk, filler)]).known(), 0, "{filler:?}");
        }
        assert_eq!(machine(6, &[]).known(), 6);
    }

    #[test]
    fn unsorted_and_doubled_components_are_not_sound() {
        let good = machine(4, &[]).bind::<Ring>([1; 8]).unwrap();
        let mut swapped = good.clone();
        swapped.components.swap(0, 1);
        let mut doubled = good.clone();
        doubled.components[1] = doubled.components[0];
        let mut short = good;
        short.components.pop();
        assert!([swapped, doubled, short].iter().all(|binding| !binding.is_sound()));
    }
}

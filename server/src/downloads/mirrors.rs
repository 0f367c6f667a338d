//! Other servers that have the files of free editions, told as Metalink/HTTP (RFC 6249) tells them.

use std::net::IpAddr;

use aegis_core::hex::Digest;

use crate::limits::address::Network;

/// What a request for our own bytes has as its query.
pub(super) const OURS: &str = "mirror=0";

/// A server with a copy of the files.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where its copy of what is below `/download` is, without a slash at the end.
    pub base: String,
    /// Networks whose clients it is for; empty for everyone.
    pub networks: Vec<Network>,
}

impl Mirror {
    /// Where it has the file of a path of this site.
    pub fn address(&self, path: &str) -> String {
        format!("{}{}", self.base, path.strip_prefix("/download").unwrap_or(path))
    }

    fn serves(&self, client: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(client))
    }
}

/// The mirrors, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Mirrors(pub Vec<Mirror>);

impl Mirrors {
    /// The mirror for a client and a file: one of its own network, or else one of those for everyone. The same client is sent
    /// to the same one, so that a download goes on where it began; a file spreads its clients over all.
    pub fn choose(&self, client: IpAddr, digest: &Digest) -> Option<&Mirror> {
        let near: Vec<_> = self.0.iter().filter(|mirror| mirror.serves(client)).collect();
        let open = || self.0.iter().filter(|mirror| mirror.networks.is_empty()).collect();
        let fit: Vec<_> = if near.is_empty() { open() } else { near };
        let octets = match client.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            // Of IPv6 the network: the rest changes with time.
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let spread = u64::from(digest.0[0]).wrapping_add(octets);
        let number = usize::try_from(spread % (fit.len().max(1) as u64)).unwrap_or_default();
        fit.get(number).copied()
    }

    /// The values of `Link` for a file (RFC 6249, section 3): where else it is, in the order of preference. Mirrors of single
    /// networks are not told to others.
    pub fn links(&self, path: &str, chosen: Option<&Mirror>) -> Vec<String> {
        let open = self.0.iter().filter(|mirror| mirror.networks.is_empty());
        let others = open.filter(|mirror| chosen.is_none_or(|chosen| chosen.base != mirror.base));
        let link = |(number, mirror): (usize, &Mirror)| {
            format!("<{}>; rel=duplicate; pri={}", mirror.address(path), number + 1)
        };
        chosen.into_iter().chain(others).enumerate().map(link).collect()
    }

    /// Hosts that everyone may be sent to, for people.
    pub fn hosts(&self) -> Vec<String> {
        let open = self.0.iter().filter(|mirror| mirror.networks.is_empty());
        open.map(|mirror| host(&mirror.base).to_owned()).collect()
    }
}

/// Host, and port where there is one, of an address.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use aegis_core::hex::Hex;

    use super::*;

    fn mirrors() -> Mirrors {
        let mirror = |base: &str, networks: &[&str]| Mirror {
            base: base.into(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        };
        Mirrors(vec![
            mirror("https://one.example/aegis", &[]),
            mirror("https://campus.example", &["10.0.0.0/8", "2001:db8::/32"]),
            mirror("https://two.example:8443/a", &[]),
        ])
    }

    #[test]
    fn a_client_is_sent_to_its_own_network_or_always_to_the_same_open_mirror() {
        let mirrors = mirrors();
        let choose = |client: &str, first| {
            let mut digest = Hex([0; 32]);
            digest.0[0] = first;
            mirrors.choose(client.parse().unwrap(), &digest).unwrap().base.clone()
        };
        for client in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
            assert_eq!(choose(client, 0), "https://campus.example", "{client}");
        }
        for client in ["192.0.2.1", "2001:db9::1"] {
            let found = [choose(client, 0), choose(client, 1)];
            assert_eq!(found, [choose(client, 2), choose(client, 3)]);
            assert_ne!(found[0], found[1], "files are spread");
            assert!(!found.contains(&"https://campus.example".to_owned()));
        }
        assert_eq!(choose("2001:db9::1", 0), choose("2001:db9::ffff", 0));
        assert!(Mirrors::default().choose("192.0.2.1".parse().unwrap(), &Hex([0; 32])).is_none());
    }

    #[test]
    fn links_name_the_chosen_one_first_and_no_closed_one() {
        let mirrors = mirrors();
        let path = "/download/freemium/1.0.0/a.iso";
        let links = mirrors.links(path, Some(&mirrors.0[2]));
        assert_eq!(
            links,
            [
                "<https://two.example:8443/a/freemium/1.0.0/a.iso>; rel=duplicate; pri=1",
                "<https://one.example/aegis/freemium/1.0.0/a.iso>; rel=duplicate; pri=2",
            ]
        );
        assert_eq!(mirrors.links(path, None).len(), 2);
        assert_eq!(mirrors.hosts(), ["one.example", "two.example:8443"]);
    }
}

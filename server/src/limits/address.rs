//! Who is at the other end, when proxies are between.
//!
//! Invariant: an address is believed only when a trusted proxy wrote it. Each proxy appends whom it saw, so the list is
//! read from the right, and the first address that is not a proxy of ours is the client; what stands left of it was
//! written by the client.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::HeaderValue;

use crate::Error;

/// Proxies in a row; more are not followed.
const HOPS: usize = 32;

/// Addresses with a common beginning, such as `10.0.0.0/8`, `fd00::/8` or `192.0.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address belongs to it. IPv4 addresses that are written as IPv6 belong to IPv4 networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = |ours: u128, other: u128, width: u32| {
            let rest = width - u32::from(self.bits);
            (ours ^ other).checked_shr(rest).unwrap_or_default() == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                shared(ours.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => shared(ours.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = || {
            let (address, bits) =
                text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
            let address = IpAddr::from_str(address).ok()?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                None => width,
                Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
                Some(_) => return None,
            };
            let canonical = address == address.to_canonical();
            (bits <= width && canonical).then_some(Self { address, bits })
        };
        parsed().ok_or_else(|| Error::Config {
            place: format!("the network {text:?}"),
            problem: "is no address and no network".into(),
            hint: "write an address, or an address, a slash and a number of bits: 10.0.0.0/8".into(),
        })
    }
}

/// The client's address, given the address of the connection and the values of `X-Forwarded-For` in their order.
///
/// The connection's own when it is no trusted proxy. Something that is no address ends the search: the proxy that passed
/// it on is then the client, which counts all its clients together.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl IntoIterator<Item = &'a HeaderValue, IntoIter: DoubleEndedIterator>,
    trusted: &[Network],
) -> IpAddr {
    let mut client = peer.to_canonical();
    let values = forwarded.into_iter().rev();
    for hop in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(HOPS) {
        if !trusted.iter().any(|network| network.contains(client)) {
            break;
        }
        match parse(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// An address, perhaps with a port; IPv6 perhaps in brackets.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    // A scope, as in `[fe80::1%2]:80`, means nothing on another machine.
    let with_port =
        || text.parse::<SocketAddr>().ok().filter(|_| !text.contains('%')).map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn client(peer: &str, values: &[&str]) -> String {
        let values: Vec<_> =
            values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap()).collect();
        let trusted = networks(&["10.0.0.0/8", "fd00::/8", "127.0.0.1"]);
        client_address(peer.parse().unwrap(), &values, &trusted).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_not_ours_is_the_client() {
        for (peer, values, expected) in [
            // Not a proxy of ours: nothing it writes is read.
            ("203.0.113.9", &["192.0.2.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            // Forged by the client, left of what the proxy saw.
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["127.0.0.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1", "10.0.0.2", "10.0.0.3"], "192.0.2.1"),
            // All ours: the furthest of them.
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            // No address: the proxy that passed it on.
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1,"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, 999.0.0.1"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1 198.51.100.1"], "10.0.0.1"),
            ("10.0.0.1", &["010.0.0.7"], "10.0.0.1"),
            ("10.0.0.1", &["ümlaut"], "10.0.0.1"),
            // Ports and brackets.
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1"], "10.0.0.1"),
            ("10.0.0.1", &["[192.0.2.1]"], "10.0.0.1"),
            ("10.0.0.1", &["[fe80::1%2]:80"], "10.0.0.1"),
            ("fd00::1", &["\t2001:db8::1 ,fd00::2"], "2001:db8::1"),
            // IPv4 as IPv6 is IPv4.
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("::ffff:203.0.113.9", &["192.0.2.1"], "203.0.113.9"),
            ("10.0.0.1", &["192.0.2.1, [::ffff:10.0.0.2]:80"], "192.0.2.1"),
        ] {
            assert_eq!(client(peer, values), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn a_long_chain_is_not_followed_without_end() {
        let chain = vec!["10.0.0.2"; 10_000].join(", ");
        assert_eq!(client("10.0.0.1", &[&format!("192.0.2.1, {chain}")]), "10.0.0.2");
    }

    #[test]
    fn networks_are_read_strictly_and_contain_what_they_say() {
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "/8",
            "10.0.0/8",
            "::ffff:10.0.0.0/104",
            "a",
        ] {
            assert!(Network::from_str(text).is_err(), "{text}");
        }
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
        ] {
            let network = Network::from_str(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            (0x0A00_0000_u32..0x0A00_00FF).prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
        ]
    }

    fn any_value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            proptest::collection::vec(any_address(), 0..5).prop_map(|list| {
                let list: Vec<_> = list.iter().map(ToString::to_string).collect();
                HeaderValue::from_str(&list.join(", ")).unwrap()
            }),
            proptest::collection::vec(any::<u8>(), 0..40)
                .prop_filter_map("no header", |bytes| HeaderValue::from_bytes(&bytes).ok()),
        ]
    }

    proptest! {
        /// A connection that is no proxy of ours is the client, whatever it writes.
        #[test]
        fn a_stranger_is_itself(peer in any_address(), values in proptest::collection::vec(any_value(), 0..4)) {
            let trusted = networks(&["10.0.0.0/8"]);
            prop_assume!(!trusted[0].contains(peer));
            prop_assert_eq!(client_address(peer, &values, &trusted), peer.to_canonical());
        }

        /// A client behind a proxy is the address that the proxy saw, whatever the client writes before it.
        #[test]
        fn what_a_client_writes_changes_nothing(
            client in any_address(),
            forged in proptest::collection::vec(any_value(), 0..4),
            same_line in any::<bool>(),
        ) {
            let trusted = networks(&["10.0.0.0/8"]);
            prop_assume!(!trusted[0].contains(client));
            let mut values = forged;
            let seen = client.to_string();
            match values.pop().filter(|_| same_line) {
                Some(last) => {
                    let line = [last.as_bytes(), b", ", seen.as_bytes()].concat();
                    values.push(HeaderValue::from_bytes(&line).unwrap());
                }
                None => values.push(HeaderValue::from_str(&seen).unwrap()),
            }
            let proxy = IpAddr::V4([10, 0, 0, 1].into());
            prop_assert_eq!(client_address(proxy, &values, &trusted), client.to_canonical());
        }
    }
}

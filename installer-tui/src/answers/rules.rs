//! The rules of single answers, used while typing and when a file is read.
//!
//! Each function returns the rule that is broken, as the rest of a sentence that begins with the name of the answer.

use std::net::IpAddr;

type Rule = Result<(), &'static str>;

fn rule(holds: bool, text: &'static str) -> Rule {
    if holds { Ok(()) } else { Err(text) }
}

/// A host name: RFC 1123, one label.
pub fn hostname(text: &str) -> Rule {
    rule((1..=63).contains(&text.len()), "must have 1 to 63 characters")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    rule(text.bytes().all(plain), "may have only a to z, 0 to 9 and -")?;
    rule(!text.starts_with('-') && !text.ends_with('-'), "must not begin or end with -")
}

/// A login name: the rule of Debian's adduser.
pub fn user_name(text: &str) -> Rule {
    rule((1..=32).contains(&text.len()), "must have 1 to 32 characters")?;
    rule(text.starts_with(|c: char| c.is_ascii_lowercase()), "must begin with a letter from a to z")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    rule(text.bytes().all(plain), "may have only a to z, 0 to 9, - and _")?;
    rule(!RESERVED.contains(&text), "is the name of a system account")
}

/// Accounts that images have, or that packages create later.
const RESERVED: [&str; 26] = [
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "backup",
    "list", "irc", "nobody", "sshd", "sudo", "adm", "disk", "audio", "video", "plugdev", "netdev", "shadow",
    "operator",
];

/// The name for people: a field of passwd(5), whose parts are separated by commas.
pub fn full_name(text: &str) -> Rule {
    rule(text.chars().count() <= 64, "must have at most 64 characters")?;
    rule(!text.contains([':', ',']) && !text.chars().any(char::is_control), "must not have : or ,")
}

/// A new password.
pub fn password(text: &str) -> Rule {
    rule(!text.is_empty(), "must not be empty")?;
    rule(text.chars().count() >= 4, "must have at least 4 characters")?;
    rule(text.len() <= 256, "must have at most 256 bytes")?;
    rule(!text.chars().any(char::is_control), "must not have control characters")
}

/// A time zone of the IANA database, as a relative path.
pub fn timezone(text: &str) -> Rule {
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+');
        !part.is_empty() && part.bytes().all(plain)
    };
    rule(text.len() < 64 && text.split('/').all(part), "must be a name such as Europe/Berlin")
}

/// A locale with UTF-8.
pub fn language(text: &str) -> Rule {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@');
    let utf8 = text.ends_with(".UTF-8") || text.contains(".UTF-8@");
    rule(utf8 && text.len() < 32 && text.bytes().all(plain), "must be a locale such as de_DE.UTF-8")
}

/// A keyboard layout or variant.
pub fn keyboard(text: &str) -> Rule {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b',');
    rule(!text.is_empty() && text.len() < 32 && text.bytes().all(plain), "must be a name such as de")
}

/// A network interface.
pub fn interface(text: &str) -> Rule {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@');
    rule((1..=15).contains(&text.len()) && text.bytes().all(plain), "must be a name such as enp1s0")
}

/// An address with the length of its prefix.
pub fn address(text: &str) -> Result<(IpAddr, u8), &'static str> {
    const FORM: &str = "must be an address such as 192.0.2.10/24";
    let (address, prefix) = text.split_once('/').ok_or(FORM)?;
    let address: IpAddr = address.parse().ok().ok_or(FORM)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|p| (1..=longest).contains(p)).ok_or(FORM)?;
    rule(
        !address.is_unspecified() && !address.is_loopback() && !address.is_multicast(),
        "is not an address of a machine",
    )?;
    Ok((address, prefix))
}

/// A router must be in the network of the address.
pub fn gateway(own: &str, gateway: Option<IpAddr>) -> Rule {
    let (Ok((own, prefix)), Some(gateway)) = (address(own), gateway) else { return Ok(()) };
    let same = match (own, gateway) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= prefix.into(),
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            b.is_unicast_link_local() || (a.to_bits() ^ b.to_bits()).leading_zeros() >= prefix.into()
        }
        _ => false,
    };
    rule(same, "is not in the network of the address")?;
    rule(own != gateway, "is the machine's own address")
}

/// One line of authorized_keys: sshd(8).
pub fn public_key(text: &str) -> Rule {
    let kind = text.split(' ').next().unwrap_or_default();
    let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
    let whole = text.split(' ').nth(1).is_some_and(|key| key.len() > 16);
    rule(known && whole && !text.chars().any(char::is_control), "must be lines such as `ssh-ed25519 AAAA...`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad() {
        type Check = fn(&str) -> Rule;
        let address: Check = |text| address(text).map(drop);
        let cases: [(Check, &[&str], &[&str]); 8] = [
            (hostname, &["a", "aegis-1", "1a"], &["", "-a", "a-", "A", "a.b", "a b", "ä"]),
            (user_name, &["ada", "a_1-b"], &["", "1a", "Ada", "root", "a:b", "ada\n", "_a"]),
            (full_name, &["", "Ada Lovelace", "Ádám"], &["a:b", "a,b", "a\nb"]),
            (password, &["four", "with space"], &["", "abc", "tab\there"]),
            (
                timezone,
                &["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Ushuaia"],
                &["", "/etc", "../x", "a//b", "a b"],
            ),
            (
                language,
                &["C.UTF-8", "de_DE.UTF-8", "ca_ES.UTF-8@valencia"],
                &["", "de_DE", "de_DE.ISO-8859-1", "a/b.UTF-8"],
            ),
            (
                address,
                &["192.0.2.10/24", "2001:db8::1/64"],
                &["192.0.2.10", "192.0.2.10/33", "0.0.0.0/8", "127.0.0.1/8", "a/24", "192.0.2.10/0"],
            ),
            (
                public_key,
                &["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA ada@x"],
                &["", "AAAA", "ssh-rsa", "ssh-rsa AAAAB3NzaC1yc2EAAAA\nssh-rsa x"],
            ),
        ];
        for (check, good, bad) in cases {
            good.iter().for_each(|text| assert_eq!(check(text), Ok(()), "{text:?}"));
            bad.iter().for_each(|text| assert!(check(text).is_err(), "{text:?}"));
        }
    }

    #[test]
    fn gateways() {
        let check = |own, router: &str| gateway(own, Some(router.parse().unwrap()));
        assert!(check("192.0.2.10/24", "192.0.2.1").is_ok());
        assert!(check("192.0.2.10/24", "192.0.3.1").is_err());
        assert!(check("192.0.2.10/24", "192.0.2.10").is_err());
        assert!(check("192.0.2.10/24", "2001:db8::1").is_err());
        assert!(check("2001:db8::2/64", "fe80::1").is_ok());
        assert_eq!(gateway("192.0.2.10/24", None), Ok(()));
    }
}

//! The files of the installed system's /etc that follow from the answers, as data.

use std::net::IpAddr;

use aegis_core::hex::Hex;
use serde_json::json;

use crate::{
    accounts::{Accounts, NewUser},
    answers::{Answers, Network, Problem, Static, rules},
    error::Error,
    select,
    source::{Features, Source},
};

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below /etc, or below the home directory.
    pub path: String,
    /// Content.
    pub content: Content,
    /// Permissions; symbolic links have none.
    pub mode: u32,
    /// Number of the owning group.
    pub group: u32,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes.
    File(Vec<u8>),
    /// A symbolic link to this path.
    Link(String),
}

/// Numbers and times that a plan takes as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Names the installation.
    pub install: aegis_core::install::InstallId,
    /// machine-id(5).
    pub machine_id: Hex<16>,
    /// Unix time.
    pub now: u64,
}

/// What is written for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Files below /etc.
    pub etc: Vec<Entry>,
    /// Files below the first user's home directory.
    pub home: Vec<Entry>,
    /// Number of the first user and of its group.
    pub user_id: u32,
}

fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Entry {
    Entry { path: path.into(), content: Content::File(content.into()), mode, group: 0 }
}

fn link(path: &str, to: &str) -> Entry {
    Entry { path: path.into(), content: Content::Link(to.into()), mode: 0o777, group: 0 }
}

/// All files. `answers` must have no problems and a hashed password.
pub fn build(source: &Source, answers: &Answers, seed: &Seed) -> Result<Config, Error> {
    let hash = answers.user.password_hash.as_deref().ok_or(Error::Password)?;
    let user = NewUser {
        name: &answers.user.name,
        full_name: &answers.user.full_name,
        password_hash: hash,
        shell: "/bin/bash",
        today: seed.now / 86_400,
    };
    let (accounts, user_id) = source.accounts.with_user(&user)?;
    let mut etc = locale_files(answers);
    etc.extend(identity_files(source, answers, seed));
    etc.extend(account_files(&accounts));
    if let Network::Static(network) = &answers.network {
        etc.push(network_file(network, &source.features, seed));
    }
    etc.extend(ssh_files(answers, &source.features));
    if let Some(key) = &answers.license_key {
        let key = select::license_key(source.edition.id, key).map_err(|rule| invalid("license_key", rule))?;
        etc.push(file("aegis/license-key", 0o600, format!("{key}\n")));
    }
    if let Some(path) = &answers.license_file {
        let text = source.license_document(path).map_err(|rule| invalid("license_file", rule))?;
        etc.push(file("aegis/license.txt", 0o644, text));
    }
    let mut home = Vec::new();
    if !answers.ssh.authorized_keys.is_empty() {
        let keys = answers.ssh.authorized_keys.join("\n") + "\n";
        home.push(file(".ssh/authorized_keys", 0o600, keys));
    }
    Ok(Config { etc, home, user_id })
}

fn invalid(field: &'static str, rule: String) -> Error {
    Error::Answers(vec![Problem { field, rule }])
}

fn locale_files(answers: &Answers) -> Vec<Entry> {
    let language = &answers.language;
    let (layout, variant) = (&answers.keyboard.layout, &answers.keyboard.variant);
    let keyboard = format!(
        "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"{layout}\"\nXKBVARIANT=\"{variant}\"\nXKBOPTIONS=\"\"\nBACKSPACE=\"guess\"\n"
    );
    let mut console = format!("KEYMAP={layout}\nXKBLAYOUT={layout}\nXKBMODEL=pc105\n");
    if !variant.is_empty() {
        console.push_str(&format!("XKBVARIANT={variant}\n"));
    }
    vec![
        file("locale.conf", 0o644, format!("LANG={language}\n")),
        file("default/locale", 0o644, format!("LANG={language}\n")),
        file("default/keyboard", 0o644, keyboard),
        file("vconsole.conf", 0o644, console),
        link("localtime", &format!("/usr/share/zoneinfo/{}", answers.timezone)),
        file("timezone", 0o644, format!("{}\n", answers.timezone)),
    ]
}

fn identity_files(source: &Source, answers: &Answers, seed: &Seed) -> Vec<Entry> {
    let hostname = &answers.hostname;
    let hosts = format!(
        "127.0.0.1 localhost\n127.0.1.1 {hostname}\n\n\
         ::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    );
    let manifest = &source.manifest;
    let install = json!({
        "install": seed.install,
        "edition": manifest.edition,
        "version": manifest.version,
        "channel": manifest.channel,
        "medium": manifest.id,
        "installed": seed.now,
    });
    vec![
        file("hostname", 0o644, format!("{hostname}\n")),
        file("hosts", 0o644, hosts),
        file("machine-id", 0o444, format!("{}\n", seed.machine_id)),
        file(
            "fstab",
            0o644,
            "# The initramfs mounts /, /etc, /home, /root and /var; add other file systems here.\n",
        ),
        file("aegis/install.json", 0o644, format!("{install:#}\n")),
    ]
}

fn account_files(accounts: &Accounts) -> Vec<Entry> {
    let secret = |path, content: &str| Entry { group: accounts.shadow_group(), ..file(path, 0o640, content) };
    vec![
        file("passwd", 0o644, accounts.passwd.as_str()),
        file("group", 0o644, accounts.group.as_str()),
        secret("shadow", &accounts.shadow),
        secret("gshadow", &accounts.gshadow),
        file("subuid", 0o644, accounts.subuid.as_str()),
        file("subgid", 0o644, accounts.subgid.as_str()),
    ]
}

fn network_file(network: &Static, features: &Features, seed: &Seed) -> Entry {
    if features.network_manager {
        let path = "NetworkManager/system-connections/wired.nmconnection";
        return file(path, 0o600, keyfile(network, seed));
    }
    let Static { interface, address, gateway, dns } = network;
    let mut text = format!("[Match]\nName={interface}\n\n[Network]\nAddress={address}\n");
    gateway.iter().for_each(|router| text.push_str(&format!("Gateway={router}\n")));
    dns.iter().for_each(|server| text.push_str(&format!("DNS={server}\n")));
    file("systemd/network/10-aegis.network", 0o644, text)
}

/// A connection of NetworkManager: nm-settings-keyfile(5).
fn keyfile(network: &Static, seed: &Seed) -> String {
    let Static { interface, address, gateway, dns } = network;
    let v4 = rules::address(address).is_ok_and(|(ip, _)| ip.is_ipv4());
    let section = |name: &str, own: bool| {
        let is_own = |ip: &&IpAddr| ip.is_ipv4() == (name == "ipv4");
        let servers: String = dns.iter().filter(is_own).map(|ip| format!("{ip};")).collect();
        let mut text = format!("\n[{name}]\n");
        if own {
            let router = gateway.map(|router| format!(",{router}")).unwrap_or_default();
            text.push_str(&format!("method=manual\naddress1={address}{router}\n"));
        } else {
            text.push_str(if name == "ipv4" { "method=disabled\n" } else { "method=auto\n" });
        }
        if !servers.is_empty() {
            text.push_str(&format!("dns={servers}\n"));
        }
        text
    };
    let uuid = seed.install.partition_guid(aegis_core::install::Role::BiosBoot);
    format!(
        "[connection]\nid=wired\nuuid={uuid}\ntype=ethernet\ninterface-name={interface}\n{}{}",
        section("ipv4", v4),
        section("ipv6", !v4)
    )
}

fn ssh_files(answers: &Answers, features: &Features) -> Vec<Entry> {
    match answers.ssh.enable {
        Some(true) if features.ssh_server && !features.ssh_enabled => vec![link(
            "systemd/system/multi-user.target.wants/ssh.service",
            "/usr/lib/systemd/system/ssh.service",
        )],
        Some(false) if features.ssh_enabled => {
            vec![
                link("systemd/system/ssh.service", "/dev/null"),
                link("systemd/system/ssh.socket", "/dev/null"),
            ]
        }
        _ => Vec::new(),
    }
}

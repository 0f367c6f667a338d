//! Edition, user, host name and network: forms.

use aegis_core::edition::Edition;

use super::{Go, Place};
use crate::{
    answers::{Answers, Network, Static, rules},
    password::Secret,
    select,
    tui::{
        form::{Field, Filled, Form, Value},
        keys::Key,
        world::World,
    },
};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// Edition and license.
    Edition,
    /// First user.
    User,
    /// Name of the machine.
    Host,
    /// Network and remote login.
    Network,
}

/// A form with the rules of its fields.
#[derive(Clone, Debug)]
pub struct FormScreen {
    /// Which form.
    pub kind: FormKind,
    /// Its fields.
    pub form: Form,
    /// A password was set before, so that an empty field keeps it.
    keeps_password: bool,
    licensed: Option<Edition>,
    accounts: Vec<String>,
}

const LOGIN: &[&str] = &["default", "on", "off"];
const MODES: &[&str] = &["automatic (DHCP)", "static"];

impl FormScreen {
    /// The form of a kind, filled with what was answered before.
    pub fn new(kind: FormKind, world: &World, answers: &Answers) -> Self {
        let fields = match kind {
            FormKind::Edition => edition_fields(world, answers),
            FormKind::User => user_fields(answers),
            FormKind::Host => {
                vec![Field::text("Host name", "1 to 63 of a to z, 0 to 9 and -", host_proposal(answers))]
            }
            FormKind::Network => network_fields(world, answers),
        };
        let mut screen = Self {
            kind,
            form: Form::new(fields),
            keeps_password: answers.user.password_hash.is_some(),
            licensed: world.licensed,
            accounts: world.accounts.clone(),
        };
        screen.hide_fields();
        screen
    }

    pub(super) fn place(&self) -> Place {
        match self.kind {
            FormKind::Edition => Place::Edition,
            FormKind::User => Place::User,
            FormKind::Host => Place::Host,
            FormKind::Network => Place::Network,
        }
    }

    /// What stands above the fields.
    pub fn introduction(&self, world: &World) -> String {
        match self.kind {
            FormKind::Edition => match world.licensed {
                None => format!(
                    "{} {}: {}. It needs no license key.",
                    world.product, world.version, world.tagline
                ),
                Some(_) => format!(
                    "{} {}: {}. Without a license key it runs with the features of the free edition; \
                     a key can be entered later.",
                    world.product, world.version, world.tagline
                ),
            },
            FormKind::User if self.keeps_password => "The first user may administer the system by sudo. \
                 Leave both password fields empty to keep the password that was entered before."
                .into(),
            FormKind::User => "The first user may administer the system by sudo.".into(),
            FormKind::Host => "The name by which this machine is known in its network.".into(),
            FormKind::Network => "How the installed system reaches the network.".into(),
        }
    }

    /// Handles a key. A new password is handed over to be hashed.
    pub fn key(&mut self, key: Key, answers: &mut Answers) -> (Go, Option<Secret>) {
        if key == Key::Esc {
            return (Go::Back, None);
        }
        // A form without fields is only read.
        let filled = if self.form.fields.is_empty() {
            if key == Key::Enter { Filled::Complete } else { Filled::Editing }
        } else {
            self.form.key(key)
        };
        self.hide_fields();
        if filled == Filled::Editing {
            return (Go::Stay, None);
        }
        let problems = self.problems();
        if !self.form.judge(problems) {
            self.clear_repeat();
            return (Go::Stay, None);
        }
        (Go::Next, self.store(answers))
    }

    /// What was mistyped without being seen is typed again from the start.
    fn clear_repeat(&mut self) {
        if self.kind == FormKind::User && self.repeat_rule().is_err() {
            self.form.fields[3].value = Value::Secret(Secret::default());
        }
    }

    fn hide_fields(&mut self) {
        if self.kind == FormKind::Network {
            let dhcp = self.form.content(0) == MODES[0];
            self.form.fields[1..5].iter_mut().for_each(|field| field.hidden = dhcp);
        }
    }

    /// Broken rules by the index of the field.
    fn problems(&self) -> Vec<(usize, Result<(), String>)> {
        let text = |index| self.form.content(index);
        let own = |result: Result<(), &str>| result.map_err(str::to_string);
        match self.kind {
            FormKind::Edition => vec![(0, self.license_rule(text(0)))],
            FormKind::Host => vec![(0, own(rules::hostname(text(0))))],
            FormKind::User => vec![
                (0, own(rules::full_name(text(0)))),
                (1, self.user_rule(text(1))),
                (2, self.password_rule()),
                (3, self.repeat_rule()),
            ],
            FormKind::Network if text(0) == MODES[0] => Vec::new(),
            FormKind::Network => vec![
                (1, own(rules::interface(text(1)))),
                (2, own(rules::address(text(2)).map(drop))),
                (3, gateway_rule(text(2), text(3))),
                (4, name_servers(text(4)).map(drop)),
            ],
        }
    }

    fn license_rule(&self, text: &str) -> Result<(), String> {
        match self.licensed {
            Some(edition) if !text.is_empty() => select::license_key(edition, text).map(drop),
            _ => Ok(()),
        }
    }

    fn user_rule(&self, name: &str) -> Result<(), String> {
        rules::user_name(name)?;
        if self.accounts.iter().any(|taken| taken == name) {
            return Err("is the name of a system account".into());
        }
        Ok(())
    }

    fn password_rule(&self) -> Result<(), String> {
        let (first, second) = (self.form.secret(2), self.form.secret(3));
        if self.keeps_password && first.reveal().is_empty() && second.reveal().is_empty() {
            return Ok(());
        }
        rules::password(first.reveal()).map_err(str::to_string)
    }

    fn repeat_rule(&self) -> Result<(), String> {
        match self.form.secret(2) == self.form.secret(3) {
            true => Ok(()),
            false => Err("differs from the password above".into()),
        }
    }

    /// Stores what the rules accepted.
    fn store(&self, answers: &mut Answers) -> Option<Secret> {
        let text = |index: usize| self.form.content(index).to_string();
        match self.kind {
            FormKind::Edition => {
                let key = self.licensed.and_then(|edition| select::license_key(edition, &text(0)).ok());
                answers.license_key = key.map(|key| key.to_string());
            }
            FormKind::Host => answers.hostname = text(0),
            FormKind::User => {
                answers.user.full_name = text(0);
                answers.user.name = text(1);
                return Some(self.form.secret(2)).filter(|secret| !secret.reveal().is_empty());
            }
            FormKind::Network => {
                answers.network = self.network();
                answers.ssh.enable = match self.form.content(5) {
                    "on" => Some(true),
                    "off" => Some(false),
                    _ => None,
                };
            }
        }
        None
    }

    fn network(&self) -> Network {
        if self.form.content(0) == MODES[0] {
            return Network::Dhcp;
        }
        Network::Static(Static {
            interface: self.form.content(1).into(),
            address: self.form.content(2).into(),
            gateway: self.form.content(3).parse().ok(),
            dns: name_servers(self.form.content(4)).unwrap_or_default(),
        })
    }
}

fn gateway_rule(address: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(router) = text.parse() else { return Err("must be an address such as 192.0.2.1".into()) };
    rules::gateway(address, Some(router)).map_err(str::to_string)
}

fn name_servers(text: &str) -> Result<Vec<std::net::IpAddr>, String> {
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let parsed: Option<_> = words.map(|word| word.parse().ok()).collect();
    parsed.ok_or_else(|| "must be addresses with spaces between them".into())
}

fn host_proposal(answers: &Answers) -> &str {
    if answers.hostname.is_empty() { "aegis" } else { &answers.hostname }
}

fn edition_fields(world: &World, answers: &Answers) -> Vec<Field> {
    if world.licensed.is_none() {
        return Vec::new();
    }
    let key = answers.license_key.as_deref().unwrap_or_default();
    vec![Field::text("License key", "four groups; empty to go on without", key)]
}

fn user_fields(answers: &Answers) -> Vec<Field> {
    vec![
        Field::text("Full name", "for people; may be empty", &answers.user.full_name),
        Field::text("Login name", "small letters, digits, - and _", &answers.user.name),
        Field::secret("Password", "at least 4 characters; not shown"),
        Field::secret("Again", "the same password once more"),
    ]
}

fn network_fields(world: &World, answers: &Answers) -> Vec<Field> {
    let (mode, set) = match &answers.network {
        Network::Dhcp => {
            let interface = world.interfaces.first().cloned().unwrap_or_default();
            (0, Static { interface, ..Static::default() })
        }
        Network::Static(set) => (1, set.clone()),
    };
    let gateway = set.gateway.map(|ip| ip.to_string()).unwrap_or_default();
    let dns = set.dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let ssh = match answers.ssh.enable {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    };
    vec![
        Field::choice("Addresses", "Space changes", MODES, mode),
        Field::text("Interface", "such as enp1s0", &set.interface),
        Field::text("Address", "with its prefix, such as 192.0.2.10/24", &set.address),
        Field::text("Router", "may be empty", &gateway),
        Field::text("Name servers", "with spaces between them; may be empty", &dns),
        Field::choice("Remote login", "by SSH; Space changes; the default is the edition's", LOGIN, ssh),
    ]
}

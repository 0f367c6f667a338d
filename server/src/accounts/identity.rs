//! Who somebody is, and what they may do before their account is in order.

use super::Denied;
use crate::{Error, Result};

/// The number of an account: 16 random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(pub [u8; 16]);

impl AccountId {
    /// As lower-case hexadecimal.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn from_blob(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|error| Error::Corrupt {
            what: "the number of an account".into(),
            problem: format!("is not of 16 bytes: {error}"),
        })
    }
}

/// What an account is for. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Buys and downloads.
    Customer,
    /// Helps customers.
    Support,
    /// Runs the site.
    Admin,
    /// Appoints admins.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Support, Self::Admin, Self::Owner];

    /// Its name in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Support => "support",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| Error::Corrupt {
            what: "the role of an account".into(),
            problem: "is not one of ours".into(),
        })
    }

    /// Whether it must have a second factor before it does anything.
    pub const fn needs_second_factor(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}

/// What stands between somebody who is signed in and the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    Open,
    /// The second factor.
    Code,
    /// The password was made by somebody else, and must be changed.
    NewPassword,
    /// The role needs a second factor, and there is none.
    SetUpFactor,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whose account it is.
    pub account: AccountId,
    /// Its address.
    pub address: super::Address,
    /// Its role, as it is now.
    pub role: Role,
    /// What must be done before anything else.
    pub gate: Gate,
    /// Whether it has a second factor of any kind.
    pub second_factor: bool,
    /// Whether it has an authenticator of codes.
    pub authenticator: bool,
    /// How many passkeys it has.
    pub passkeys: i64,
    /// When the account was made, in seconds since 1970.
    pub created_at: i64,
}

impl Identity {
    /// Goes on only for a role of at least this one, with nothing left to be done.
    ///
    /// # Errors
    /// [`Denied::Forbidden`], which says what is missing.
    pub fn require(&self, role: Role) -> Result<(), Denied> {
        match self.gate {
            Gate::Code => Err(Denied::SignedOut),
            Gate::NewPassword => Err(Denied::Forbidden("Change your password first")),
            Gate::SetUpFactor => Err(Denied::Forbidden("Set up a second factor first")),
            Gate::Open if self.role < role => {
                Err(Denied::Forbidden("Your account is not allowed to do this"))
            }
            Gate::Open => Ok(()),
        }
    }
}

/// The gate of an account, as its rows say.
pub(super) fn gate(passed: bool, must_change: bool, role: Role, second_factor: bool) -> Gate {
    if !passed {
        Gate::Code
    } else if must_change {
        Gate::NewPassword
    } else if role.needs_second_factor() && !second_factor {
        Gate::SetUpFactor
    } else {
        Gate::Open
    }
}

//! Why something was not done, in words for the person who asked.

use crate::{
    Error,
    http::{Code, Problem},
};

/// Why an act on an account was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum Denied {
    /// A field is not as it must be.
    Field {
        /// Its name in forms and in the API.
        name: &'static str,
        /// A sentence without a full stop.
        detail: String,
    },
    /// The address or the password is wrong; never which.
    Credentials,
    /// The password is right, and a code of the second factor is needed.
    CodeNeeded,
    /// The code is wrong or was used.
    Code,
    /// A passkey is unknown, or was not used as it must be; never which.
    Passkey,
    /// A link is unknown, used or too old.
    Link,
    /// Too often; try again after so many seconds.
    Later(u64),
    /// Nobody is signed in.
    SignedOut,
    /// Signed in, and not allowed to.
    Forbidden(&'static str),
    /// A form that did not come from a page of this site.
    CrossSite,
    /// A fault of ours, or too much at a time.
    Failed(Error),
}

impl Denied {
    /// For people; without a full stop.
    pub fn sentence(&self) -> String {
        match self {
            Self::Field { detail, .. } => detail.clone(),
            Self::Credentials => "The address or the password is wrong".into(),
            Self::CodeNeeded => "Enter the code of your second factor".into(),
            Self::Code => "The code is wrong or was used already".into(),
            Self::Passkey => "The passkey was not accepted; try again, or go on without it".into(),
            Self::Link => "This link was used already or is too old; ask for a new one".into(),
            Self::Later(seconds) => format!("Too many attempts; try again in {seconds} seconds"),
            Self::SignedOut => "Sign in first".into(),
            Self::Forbidden(why) => (*why).into(),
            Self::CrossSite => {
                "The form was open too long or did not come from this site; send it again".into()
            }
            Self::Failed(Error::Busy(_)) => {
                "Many people sign in at the moment; try again in a few seconds".into()
            }
            Self::Failed(_) => "This did not work because of a fault of ours; try again later".into(),
        }
    }

    /// The field that a person must change.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Field { name, .. } => Some(name),
            Self::Code | Self::CodeNeeded => Some("code"),
            _ => None,
        }
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let sentence = denied.sentence();
        match denied {
            Denied::Field { name, detail } => Self::field(name, detail),
            Denied::CodeNeeded => Self::field("code", sentence),
            Denied::Credentials | Denied::Code | Denied::Passkey | Denied::SignedOut => {
                Self::new(Code::Unauthenticated).because(sentence)
            }
            Denied::Link => Self::new(Code::Conflict).because(sentence),
            Denied::Later(seconds) => Self::new(Code::RateLimited).because(sentence).retry_after(seconds),
            Denied::Forbidden(_) => Self::new(Code::Forbidden).because(sentence),
            Denied::CrossSite => Self::new(Code::CrossSite).because(sentence),
            Denied::Failed(error) => error.into(),
        }
    }
}

//! The names that make.py gives to errors.

use aegis_core::{key::VerifyError, license::document::DocumentError};

/// As make.py writes it.
pub(crate) fn name(error: &DocumentError) -> String {
    use DocumentError as E;
    match error {
        E::Armour(error) => format!("armour: {}", first_word(error)),
        E::Body => "body".into(),
        E::Version(found) => format!("version: {found}"),
        E::Signature(VerifyError::WrongRole { key, .. }) => format!("signature: WrongRole({key})"),
        E::Signature(VerifyError::KeyExpired { key, .. }) => format!("signature: KeyExpired({key})"),
        E::Signature(error) => format!("signature: {error:?}"),
        E::Claims(error) => format!("claims: {error:?}"),
        E::List(error) => format!("list: {error:?}"),
    }
}

/// The variant alone.
pub(crate) fn first_word(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

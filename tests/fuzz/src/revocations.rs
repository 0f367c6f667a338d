//! Revocation lists: the bytes as the text, as the body within the armour, and as the list within the body.

use super::{Anyone, ROOM, armoured, assert_strict, ring, sealed, was_signed};
use aegis_core::{
    crypto::Ring,
    license::{
        document::{DocumentError, Form, Sealed},
        revocation::{self, ListError, Revocations},
    },
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    if Revocations::verify::<Ring>(bytes, ring(), 0, &mut [0; ROOM]).is_ok() {
        assert!(was_signed(bytes), "a forged list was accepted");
    }
    unsigned(bytes);
    unsigned(armoured(Form::Revocations, bytes).as_bytes());
    if let Some(text) = sealed(Form::Revocations, bytes) {
        unsigned(text.as_bytes());
    }
}

/// Reads a list whose signature may be anything.
fn unsigned(text: &[u8]) {
    let mut buffer = [0; ROOM];
    match Revocations::verify::<Anyone>(text, ring(), 0, &mut buffer) {
        Ok(list) => {
            assert_strict(Form::Revocations, text);
            check(&list, text);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

/// The list is the only form of what it says, finds what it holds, and counts.
fn check(list: &Revocations<'_>, text: &[u8]) {
    let mut buffer = [0; ROOM];
    let sealed = Sealed::open(Form::Revocations, text, &mut buffer).expect("it was accepted");
    let again = revocation::encode(list.number(), list.issued(), list.serials());
    assert_eq!(again.as_deref(), Ok(sealed.unverified()), "two payloads are one list");
    let mut before = None;
    for serial in list.serials() {
        assert!(before < Some(serial) && list.contains(serial));
        let next = serial.wrapping_add(1);
        assert_eq!(list.contains(next), list.serials().any(|other| other == next));
        before = Some(serial);
    }
    if let Some(seen) = list.number().checked_add(1) {
        let found = Revocations::verify::<Anyone>(text, ring(), seen, &mut buffer);
        let rollback = ListError::Rollback { found: list.number(), seen };
        assert_eq!(found, Err(DocumentError::List(rollback)));
    }
}

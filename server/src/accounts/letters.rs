//! What the letters say. Nothing that a stranger typed stands in them, except the address that they go to.

use super::{Accounts, Address, Secret};
use crate::{Result, mail::Letter, store::Statement};

impl Accounts {
    fn letter(&self, to: &Address, subject: &str, text: &str) -> Result<Statement> {
        let body = format!("{text}\n\nAegis OS\n{}\n", self.settings.origin);
        Letter::new(to.as_str(), subject, &body)?.queued(self.clock.now())
    }

    pub(super) fn confirm_letter(&self, to: &Address, token: &Secret) -> Result<Statement> {
        let link = self.link("/account/confirm", token);
        let text = format!(
            "Somebody, probably you, registered this address. To finish, open this address within 24 hours and enter \
             the password that you chose:\n\n{link}\n\nIf it was not you, do nothing: without your act no account is made."
        );
        self.letter(to, "Confirm your address", &text)
    }

    pub(super) fn already_letter(&self, to: &Address) -> Result<Statement> {
        let text = format!(
            "Somebody, probably you, tried to register this address, which has an account already. You can sign in, or \
             choose a new password here:\n\n{}/account/reset\n\nIf it was not you, nothing needs to be done.",
            self.settings.origin
        );
        self.letter(to, "You have an account already", &text)
    }

    pub(super) fn reset_letter(&self, to: &Address, token: &Secret) -> Result<Statement> {
        let link = self.link("/account/reset/new", token);
        let text = format!(
            "To choose a new password, open this address within one hour:\n\n{link}\n\nIf you did not ask for it, do \
             nothing: your password stays as it is."
        );
        self.letter(to, "Choose a new password", &text)
    }

    pub(super) fn address_letter(&self, to: &Address, token: &Secret) -> Result<Statement> {
        let link = self.link("/account/address/confirm", token);
        let text = format!("To use this address for your account, open this within one hour:\n\n{link}");
        self.letter(to, "Confirm your new address", &text)
    }

    pub(super) fn address_taken_letter(&self, to: &Address) -> Result<Statement> {
        let text = "Somebody, probably you, asked to use this address for another account. It has an account of its own, \
                    so nothing was changed.";
        self.letter(to, "This address has an account already", text)
    }

    /// Tells the owner of an act of the person at the machine.
    pub(super) fn operator_letter(&self, to: &Address, what: &str) -> Result<Statement> {
        let text = format!(
            "{what}\n\nWho runs the site did this. If you did not ask for it, or do not know why, write to them:\n\n\
             {}/contact",
            self.settings.origin
        );
        self.letter(to, "About your account", &text)
    }

    /// Tells the owner of an act that takes an account over.
    pub(super) fn notice(&self, to: &Address, subject: &str, what: &str) -> Result<Statement> {
        let text = format!(
            "{what}\n\nIf it was not you, choose a new password at once and look at where you are signed in:\n\n\
             {}/account/reset",
            self.settings.origin
        );
        self.letter(to, subject, &text)
    }

    /// Tells the owner of something about a passkey, which a new password does not undo.
    pub(super) fn passkey_letter(&self, to: &Address, what: &str) -> Result<Statement> {
        let text = format!(
            "{what}\n\nIf it was not you, choose a new password at once, sign in, and look at your passkeys and at \
             where you are signed in:\n\n{origin}/account/reset\n{origin}/account/passkeys",
            origin = self.settings.origin
        );
        self.letter(to, "Your passkeys", &text)
    }
}

//! Forms: who asks, and whether a form came from a page of ours.
//!
//! Invariant: nothing of a form is looked at before its token and its origin are.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};

use super::{Web, cookies::Cookie, next::Next, passkeys, read::unreadable, view::Failure};
use crate::{
    accounts::{Accounts, Denied, Gate, Identity, Secret, Visitor, secret::Secret as Token},
    http::{Code, Problem},
};

/// Who asks, by the connection and the cookies.
pub(super) struct Asked {
    pub(super) visitor: Visitor,
    pub(super) session: Option<Secret>,
    /// The cookie of somebody without a session; made when there is none.
    pub(super) before: Secret,
    /// Whether the browser must be given it.
    pub(super) is_new: bool,
}

impl FromRequestParts<Arc<Web>> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, Failure> {
        let accounts = &web.accounts;
        let mut visitor = Visitor::from_request_parts(parts, web).await?;
        visitor.device = accounts.cookie_in(&parts.headers, Cookie::Device);
        let session = accounts.cookie_in(&parts.headers, Cookie::Session);
        let before = accounts.cookie_in(&parts.headers, Cookie::Visitor);
        let is_new = session.is_none() && before.is_none();
        let before = before.map_or_else(Token::random, Ok).map_err(Denied::from)?;
        Ok(Self { visitor, session, before, is_new })
    }
}

impl Asked {
    /// The token of the forms of whoever asks: of the session, or of the visitor without.
    pub(super) fn form_token(&self, accounts: &Accounts) -> String {
        accounts.keys.form_token(&self.holder())
    }

    /// By what whoever asks is known: a session, or the cookie of a visitor.
    pub(super) fn holder(&self) -> Vec<u8> {
        match &self.session {
            Some(session) => [b"session".as_slice(), &session.digest()].concat(),
            None => [b"visitor".as_slice(), &self.before.digest()].concat(),
        }
    }

    /// Whoever is signed in and has nothing to do first but what is done at the page itself. Nobody is sent to sign in,
    /// and back to the page.
    pub(super) async fn signed_in(
        &self,
        accounts: &Accounts,
        at: &'static str,
    ) -> Result<(Identity, Secret), Failure> {
        let Some(session) = &self.session else { return Err(Failure::SignIn(at)) };
        let identity = accounts.identify(session).await.map_err(Denied::from)?;
        let Some(identity) = identity else { return Err(Failure::SignIn(at)) };
        let first = match identity.gate {
            Gate::Open => None,
            Gate::Code => Some("/account/code"),
            Gate::NewPassword => Some("/account/password"),
            // A passkey is one.
            Gate::SetUpFactor if at == passkeys::HERE => None,
            Gate::SetUpFactor => Some("/account/second-factor"),
        };
        match first {
            Some(first) if first != at => Err(Failure::Go(first)),
            _ => Ok((identity, session.clone())),
        }
    }
}

/// The fields of a form that came from a page of ours.
pub(super) struct Fields {
    pub(super) asked: Asked,
    fields: BTreeMap<String, String>,
}

impl FromRequest<Arc<Web>> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let asked = Asked::from_request_parts(&mut parts, web).await?;
        if !is_from_here(&parts.headers, &web.accounts.settings.origin) {
            return Err(Denied::CrossSite.into());
        }
        let read = Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, body), web).await;
        let Form(pairs) = read.map_err(|rejected| unreadable(rejected.status()))?;
        let mut fields = BTreeMap::new();
        for (name, value) in pairs {
            if fields.insert(name, value).is_some() {
                return Err(Problem::new(Code::BadRequest).into());
            }
        }
        let token = fields.remove("form_token").unwrap_or_default();
        if !web.accounts.keys.is_form_token(&asked.holder(), &token) {
            return Err(Denied::CrossSite.into());
        }
        Ok(Self { asked, fields })
    }
}

impl Fields {
    /// Where the form goes on afterwards; what is no path of ours is nothing. Before [`Fields::take`].
    pub(super) fn next(&mut self) -> Option<Next> {
        self.fields.remove("next").and_then(|path| Next::parse(&path))
    }

    /// The values of these fields, which must be all that there are.
    pub(super) fn take<const N: usize>(&mut self, names: [&'static str; N]) -> Result<[String; N], Problem> {
        if let Some(unknown) = self.fields.keys().find(|name| !names.contains(&name.as_str())) {
            let name: String = unknown.chars().filter(char::is_ascii_graphic).take(40).collect();
            return Err(Problem::field(name, "is not a field of this form"));
        }
        let mut values = [const { String::new() }; N];
        for (value, name) in values.iter_mut().zip(names) {
            *value = self.fields.remove(name).ok_or_else(|| Problem::field(name, "is missing"))?;
        }
        Ok(values)
    }
}

/// What the browser says of where a form came from. One that says nothing is old, and has the token alone.
fn is_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let says = |name: &str, wanted: &str| {
        headers.get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes())
    };
    says(header::ORIGIN.as_str(), origin) && says("sec-fetch-site", "same-origin")
}

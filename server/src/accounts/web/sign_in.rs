//! Signing in: by password and second factor, or by a passkey.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Web,
    cookies::Cookie,
    forms::{Asked, Fields},
    next::Next,
    view::{self, CODE, EMAIL, Failure, FormPage, PASSWORD, PasskeyForm, Shown},
};
use crate::accounts::{Accounts, Denied, Gate, Identity, Login, Started};

type Answer = Result<Response, Failure>;
type Site = State<Arc<Web>>;

/// Where signing in leads by itself.
const HOME: &str = "/account";

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/account/sign-in", get(sign_in_page).post(sign_in))
        .route("/account/sign-in/passkey", post(sign_in_by_passkey))
        .route("/account/code", get(code_page).post(code))
        .route("/account/code/passkey", post(code_by_passkey))
}

const SIGN_IN: FormPage = FormPage {
    title: "Sign in",
    intro: "",
    action: "/account/sign-in",
    fields: &[EMAIL, PASSWORD],
    submit: "Sign in",
    passkey: Some(PasskeyForm {
        title: "Or without a password",
        action: "/account/sign-in/passkey",
        options: "/account/sign-in/passkey/options",
        submit: "Sign in with a passkey",
    }),
    links: &[("/account/register", "Make an account"), ("/account/reset", "I forgot my password")],
};

/// What stands behind the question mark of a page that leads on.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

async fn sign_in_page(State(web): Site, Query(wanted): Query<Wanted>, asked: Asked) -> Response {
    let next = Next::parse(&wanted.next);
    view::form(&web, &asked, &SIGN_IN, Shown { next: next.as_ref(), passkey: true, ..Shown::default() })
}

async fn sign_in(State(web): Site, mut fields: Fields) -> Answer {
    let next = fields.next();
    let [email, password] = fields.take(["email", "password"])?;
    let asked = &fields.asked;
    let (started, mut response) =
        match web.accounts.login(&email, &password, &asked.visitor, asked.session.as_ref()).await {
            Ok(Login::Done(started)) => (started, view::go(next.as_ref().map_or(HOME, Next::path))),
            Ok(Login::CodeNeeded(started)) => (
                started,
                view::go(&next.map_or(CODE_PAGE.action.into(), |next| next.after(CODE_PAGE.action))),
            ),
            Err(denied) => {
                let shown =
                    Shown { email: &email, next: next.as_ref(), passkey: true, ..Shown::again(denied) };
                return Ok(view::form(&web, asked, &SIGN_IN, shown));
            }
        };
    web.accounts.set_started(response.headers_mut(), &started);
    web.accounts.set_cookie(response.headers_mut(), Cookie::Visitor, None);
    Ok(response)
}

async fn sign_in_by_passkey(State(web): Site, mut fields: Fields) -> Answer {
    let next = fields.next();
    let [answer] = fields.take(["passkey"])?;
    let asked = &fields.asked;
    let (holder, before) = (asked.holder(), asked.session.as_ref());
    match web.accounts.sign_in_by_passkey(&answer, &holder, &asked.visitor, before).await {
        Ok(started) => {
            let mut response = view::go(next.as_ref().map_or(HOME, Next::path));
            web.accounts.set_started(response.headers_mut(), &started);
            web.accounts.set_cookie(response.headers_mut(), Cookie::Visitor, None);
            Ok(response)
        }
        Err(denied) => {
            let shown = Shown { next: next.as_ref(), passkey: true, ..Shown::again(denied) };
            Ok(view::form(&web, asked, &SIGN_IN, shown))
        }
    }
}

const CODE_PAGE: FormPage = FormPage {
    title: "Second factor",
    intro: "Your password was right. One step is left.",
    action: "/account/code",
    fields: &[CODE],
    submit: "Sign in",
    passkey: Some(PasskeyForm {
        title: "Or with a passkey",
        action: "/account/code/passkey",
        options: "/account/code/passkey/options",
        submit: "Use a passkey",
    }),
    links: &[
        ("/contact", "I have neither the authenticator nor a recovery code: write to us"),
        ("/account/sign-in", "Sign in with another account"),
    ],
};

async fn code_page(State(web): Site, Query(wanted): Query<Wanted>, asked: Asked) -> Answer {
    let identity = waiting_for_code(&web.accounts, &asked).await?;
    let next = Next::parse(&wanted.next);
    let passkey = identity.passkeys > 0;
    Ok(view::form(&web, &asked, &CODE_PAGE, Shown { next: next.as_ref(), passkey, ..Shown::default() }))
}

async fn waiting_for_code(accounts: &Accounts, asked: &Asked) -> Result<Identity, Failure> {
    let (identity, _) = asked.signed_in(accounts, CODE_PAGE.action).await?;
    if identity.gate == Gate::Code { Ok(identity) } else { Err(Failure::Go(HOME)) }
}

async fn code(State(web): Site, mut fields: Fields) -> Answer {
    let next = fields.next();
    let [code] = fields.take(["code"])?;
    let asked = &fields.asked;
    let identity = waiting_for_code(&web.accounts, asked).await?;
    let session = asked.session.as_ref().ok_or(Denied::SignedOut)?;
    let passed = web.accounts.pass_factor(identity.account, &code, session, &asked.visitor).await;
    after_factor(&web, asked, &identity, next.as_ref(), passed)
}

async fn code_by_passkey(State(web): Site, mut fields: Fields) -> Answer {
    let next = fields.next();
    let [answer] = fields.take(["passkey"])?;
    let asked = &fields.asked;
    let identity = waiting_for_code(&web.accounts, asked).await?;
    let session = asked.session.as_ref().ok_or(Denied::SignedOut)?;
    let (account, holder) = (identity.account, asked.holder());
    let passed = web.accounts.pass_by_passkey(account, &answer, &holder, session, &asked.visitor).await;
    after_factor(&web, asked, &identity, next.as_ref(), passed)
}

fn after_factor(
    web: &Web,
    asked: &Asked,
    identity: &Identity,
    next: Option<&Next>,
    passed: Result<Started, Denied>,
) -> Answer {
    match passed {
        Ok(started) => {
            let mut response = view::go(next.map_or(HOME, Next::path));
            web.accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(Denied::SignedOut) => Err(Failure::SignIn(HOME)),
        Err(denied) => {
            let shown = Shown { next, passkey: identity.passkeys > 0, ..Shown::again(denied) };
            Ok(view::form(web, asked, &CODE_PAGE, shown))
        }
    }
}

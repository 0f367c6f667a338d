//! The overview, signing out, sessions, password, address and the end of an account.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};

use super::{
    Web,
    cookies::Cookie,
    forms::{Asked, Fields},
    passkeys,
    read::{for_people, rfc3339},
    view::{self, CODE, EMAIL, Failure, Field, FormPage, NEW_PASSWORD, PASSWORD, PasskeyForm, Shown},
};
use crate::{
    accounts::{Accounts, Proof, SessionEntry},
    site::Layout,
};

type Answer = Result<Response, Failure>;
type Site = State<Arc<Web>>;

const HOME: &str = "/account";

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/account", get(overview))
        .route("/account/sign-out", post(sign_out))
        .route("/account/sign-out-everywhere", post(sign_out_everywhere))
        .route("/account/sessions", get(sessions))
        .route("/account/sessions/end", post(end_session))
        .route("/account/password", get(password_page).post(password))
        .route("/account/address", get(address_page).post(address))
        .route("/account/delete", get(delete_page).post(delete))
        .route("/account/delete/passkey", post(delete_by_passkey))
}

async fn sign_out(State(web): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    if let Some(session) = &fields.asked.session {
        web.accounts.logout(session).await?;
    }
    Ok(signed_out(&web.accounts))
}

async fn sign_out_everywhere(State(web): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    let (identity, _) = fields.asked.signed_in(&web.accounts, "/account/sessions").await?;
    web.accounts.logout_everywhere(identity.account).await?;
    Ok(signed_out(&web.accounts))
}

fn signed_out(accounts: &Accounts) -> Response {
    let mut response = view::go("/account/sign-in");
    accounts.set_cookie(response.headers_mut(), Cookie::Session, None);
    response
}

#[derive(Template)]
#[template(path = "account/overview.html")]
struct Overview<'a> {
    layout: Layout<'a>,
    address: String,
    role: &'static str,
    authenticator: bool,
    passkeys: i64,
    codes_left: i64,
    since: Time,
    form_token: String,
}

async fn overview(State(web): Site, asked: Asked) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, "/account").await?;
    let view = Overview {
        layout: view::layout(&web, HOME),
        address: identity.address.as_str().to_owned(),
        role: identity.role.name(),
        authenticator: identity.authenticator,
        passkeys: identity.passkeys,
        codes_left: web.accounts.recovery_codes_left(identity.account).await?,
        since: Time::of(identity.created_at),
        form_token: asked.form_token(&web.accounts),
    };
    Ok(view::render(StatusCode::OK, &view))
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct Sessions<'a> {
    layout: Layout<'a>,
    sessions: Vec<Row>,
    form_token: String,
}

/// A time for programs and for people.
pub(super) struct Time {
    pub(super) rfc3339: String,
    pub(super) text: String,
}

impl Time {
    pub(super) fn of(seconds: i64) -> Self {
        Self { rfc3339: rfc3339(seconds), text: for_people(seconds) }
    }
}

/// A session as it is shown.
struct Row {
    id: String,
    agent: String,
    network: String,
    began: Time,
    seen: Time,
    current: bool,
}

async fn sessions(State(web): Site, asked: Asked) -> Answer {
    let (identity, session) = asked.signed_in(&web.accounts, "/account/sessions").await?;
    let show = |entry: SessionEntry| Row {
        id: data_encoding::HEXLOWER.encode(&entry.id),
        agent: if entry.agent.is_empty() { "Unknown browser".into() } else { entry.agent },
        network: entry.network,
        began: Time::of(entry.created_at),
        seen: Time::of(entry.seen_at),
        current: entry.current,
    };
    let sessions = web.accounts.sessions(identity.account, &session).await?.into_iter().map(show).collect();
    let layout = view::layout(&web, "/account/sessions");
    let view = Sessions { layout, sessions, form_token: asked.form_token(&web.accounts) };
    Ok(view::render(StatusCode::OK, &view))
}

async fn end_session(State(web): Site, mut fields: Fields) -> Answer {
    let [id] = fields.take(["session"])?;
    let (identity, _) = fields.asked.signed_in(&web.accounts, "/account/sessions").await?;
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap_or_default();
    web.accounts.end_session(identity.account, &id).await?;
    Ok(view::go("/account/sessions"))
}

const CHANGE_PASSWORD: FormPage = FormPage {
    title: "Change your password",
    intro: "You stay signed in here, and are signed out everywhere else.",
    action: "/account/password",
    fields: &[PASSWORD, NEW_PASSWORD],
    submit: "Change the password",
    passkey: None,
    links: &[("/account", "Back to your account")],
};

async fn password_page(State(web): Site, asked: Asked) -> Answer {
    asked.signed_in(&web.accounts, "/account/password").await?;
    Ok(view::form(&web, &asked, &CHANGE_PASSWORD, Shown::default()))
}

async fn password(State(web): Site, mut fields: Fields) -> Answer {
    let [old, new] = fields.take(["password", "new_password"])?;
    let asked = &fields.asked;
    let (identity, session) = asked.signed_in(&web.accounts, "/account/password").await?;
    match web.accounts.change_password(identity.account, &old, &new, &session, &asked.visitor).await {
        Ok(started) => {
            let mut response = view::go("/account");
            web.accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(denied) => Ok(view::form(&web, asked, &CHANGE_PASSWORD, Shown::again(denied))),
    }
}

const CHANGE_ADDRESS: FormPage = FormPage {
    title: "Change your address",
    intro: "A letter with a link goes to the new address. Until you open it, the old one stays.",
    action: "/account/address",
    fields: &[Field { label: "New e-mail address", autocomplete: "email", ..EMAIL }, PASSWORD],
    submit: "Send the letter",
    passkey: None,
    links: &[("/account", "Back to your account")],
};

async fn address_page(State(web): Site, asked: Asked) -> Answer {
    asked.signed_in(&web.accounts, "/account/address").await?;
    Ok(view::form(&web, &asked, &CHANGE_ADDRESS, Shown::default()))
}

async fn address(State(web): Site, mut fields: Fields) -> Answer {
    let [email, password] = fields.take(["email", "password"])?;
    let asked = &fields.asked;
    let (identity, _) = asked.signed_in(&web.accounts, "/account/address").await?;
    match web.accounts.request_address(identity.account, &password, &email, asked.visitor.peer).await {
        Ok(()) => {
            let text = "We have sent a letter to the new address. Open the link in it within one hour.";
            Ok(view::message(&web, "Look into your mail", text, ("/account", "Back to your account")))
        }
        Err(denied) => {
            let shown = Shown { email: &email, ..Shown::again(denied) };
            Ok(view::form(&web, asked, &CHANGE_ADDRESS, shown))
        }
    }
}

const DELETE: FormPage = FormPage {
    title: "Delete your account",
    intro: "The account and all that belongs to it is deleted for good.",
    action: "/account/delete",
    fields: &[
        PASSWORD,
        Field {
            hint: "Only when you have a second factor; otherwise leave it empty.",
            required: false,
            ..CODE
        },
    ],
    submit: "Delete the account",
    passkey: Some(PasskeyForm {
        title: "Or with a passkey",
        action: "/account/delete/passkey",
        options: passkeys::PROOF,
        submit: "Delete it with a passkey",
    }),
    links: &[("/account", "Back to your account")],
};

async fn delete_page(State(web): Site, asked: Asked) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, "/account/delete").await?;
    let passkey = identity.passkeys > 0;
    Ok(view::form(&web, &asked, &DELETE, Shown { passkey, ..Shown::default() }))
}

async fn delete(State(web): Site, mut fields: Fields) -> Answer {
    let [typed, code] = fields.take(["password", "code"])?;
    deleted(&web, &fields.asked, Proof::Password { typed: &typed, code: &code }).await
}

async fn delete_by_passkey(State(web): Site, mut fields: Fields) -> Answer {
    let [answer] = fields.take(["passkey"])?;
    let holder = fields.asked.holder();
    deleted(&web, &fields.asked, Proof::Passkey { answer: &answer, holder: &holder }).await
}

async fn deleted(web: &Web, asked: &Asked, proof: Proof<'_>) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, "/account/delete").await?;
    match web.accounts.delete(identity.account, proof, asked.visitor.peer).await {
        Ok(()) => Ok(signed_out(&web.accounts)),
        Err(denied) => {
            let shown = Shown { passkey: identity.passkeys > 0, ..Shown::again(denied) };
            Ok(view::form(web, asked, &DELETE, shown))
        }
    }
}

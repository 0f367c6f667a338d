//! Signing in and out, the overview, sessions, password, address and the end of an account.

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
    cookies::Cookie,
    forms::{Asked, Fields},
    read::rfc3339,
    view::{self, CODE, EMAIL, Failure, Field, FormPage, NEW_PASSWORD, PASSWORD, Shown},
};
use crate::accounts::{Accounts, Denied, Gate, Identity, Login, SessionEntry};

type Answer = Result<Response, Failure>;
type Site = State<Arc<Accounts>>;

pub(super) fn router() -> Router<Arc<Accounts>> {
    Router::new()
        .route("/account", get(overview))
        .route("/account/sign-in", get(sign_in_page).post(sign_in))
        .route("/account/code", get(code_page).post(code))
        .route("/account/sign-out", post(sign_out))
        .route("/account/sign-out-everywhere", post(sign_out_everywhere))
        .route("/account/sessions", get(sessions))
        .route("/account/sessions/end", post(end_session))
        .route("/account/password", get(password_page).post(password))
        .route("/account/address", get(address_page).post(address))
        .route("/account/delete", get(delete_page).post(delete))
}

const SIGN_IN: FormPage = FormPage {
    title: "Sign in",
    intro: "",
    action: "/account/sign-in",
    fields: &[EMAIL, PASSWORD],
    submit: "Sign in",
    links: &[("/account/register", "Make an account"), ("/account/reset", "I forgot my password")],
};

async fn sign_in_page(State(accounts): Site, asked: Asked) -> Response {
    view::form(&accounts, &asked, &SIGN_IN, Shown::default())
}

async fn sign_in(State(accounts): Site, mut fields: Fields) -> Answer {
    let [email, password] = fields.take(["email", "password"])?;
    let asked = &fields.asked;
    let (started, next) =
        match accounts.login(&email, &password, &asked.visitor, asked.session.as_ref()).await {
            Ok(Login::Done(started)) => (started, "/account"),
            Ok(Login::CodeNeeded(started)) => (started, "/account/code"),
            Err(denied) => {
                let shown = Shown { email: &email, denied: Some(denied), ..Shown::default() };
                return Ok(view::form(&accounts, asked, &SIGN_IN, shown));
            }
        };
    let mut response = view::go(next);
    accounts.set_started(response.headers_mut(), &started);
    accounts.set_cookie(response.headers_mut(), Cookie::Visitor, None);
    Ok(response)
}

const CODE_PAGE: FormPage = FormPage {
    title: "Second factor",
    intro: "Your password was right. One step is left.",
    action: "/account/code",
    fields: &[CODE],
    submit: "Sign in",
    links: &[("/account/sign-in", "Sign in with another account")],
};

async fn code_page(State(accounts): Site, asked: Asked) -> Answer {
    waiting_for_code(&accounts, &asked).await?;
    Ok(view::form(&accounts, &asked, &CODE_PAGE, Shown::default()))
}

async fn waiting_for_code(accounts: &Accounts, asked: &Asked) -> Result<Identity, Failure> {
    let (identity, _) = asked.signed_in(accounts, "/account/code").await?;
    if identity.gate == Gate::Code { Ok(identity) } else { Err(Failure::Go("/account")) }
}

async fn code(State(accounts): Site, mut fields: Fields) -> Answer {
    let [code] = fields.take(["code"])?;
    let asked = &fields.asked;
    let identity = waiting_for_code(&accounts, asked).await?;
    let session = asked.session.as_ref().ok_or(Denied::SignedOut)?;
    match accounts.pass_factor(identity.account, &code, session, &asked.visitor).await {
        Ok(started) => {
            let mut response = view::go("/account");
            accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(Denied::SignedOut) => Err(Failure::Go("/account/sign-in")),
        Err(denied) => {
            Ok(view::form(&accounts, asked, &CODE_PAGE, Shown { denied: Some(denied), ..Shown::default() }))
        }
    }
}

async fn sign_out(State(accounts): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    if let Some(session) = &fields.asked.session {
        accounts.logout(session).await?;
    }
    Ok(signed_out(&accounts, "/account/sign-in"))
}

async fn sign_out_everywhere(State(accounts): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    let (identity, _) = fields.asked.signed_in(&accounts, "/account/sessions").await?;
    accounts.logout_everywhere(identity.account).await?;
    Ok(signed_out(&accounts, "/account/sign-in"))
}

fn signed_out(accounts: &Accounts, next: &str) -> Response {
    let mut response = view::go(next);
    accounts.set_cookie(response.headers_mut(), Cookie::Session, None);
    response
}

#[derive(Template)]
#[template(path = "account/overview.html")]
struct Overview {
    address: String,
    role: &'static str,
    second_factor: bool,
    codes_left: i64,
    since: String,
    form_token: String,
}

async fn overview(State(accounts): Site, asked: Asked) -> Answer {
    let (identity, _) = asked.signed_in(&accounts, "/account").await?;
    let view = Overview {
        address: identity.address.as_str().to_owned(),
        role: identity.role.name(),
        second_factor: identity.second_factor,
        codes_left: accounts.recovery_codes_left(identity.account).await?,
        since: rfc3339(identity.created_at),
        form_token: asked.form_token(&accounts),
    };
    Ok(view::render(StatusCode::OK, &view))
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct Sessions {
    sessions: Vec<Row>,
    form_token: String,
}

/// A session as it is shown.
struct Row {
    id: String,
    agent: String,
    network: String,
    began: String,
    seen: String,
    current: bool,
}

async fn sessions(State(accounts): Site, asked: Asked) -> Answer {
    let (identity, session) = asked.signed_in(&accounts, "/account/sessions").await?;
    let show = |entry: SessionEntry| Row {
        id: data_encoding::HEXLOWER.encode(&entry.id),
        agent: if entry.agent.is_empty() { "Unknown browser".into() } else { entry.agent },
        network: entry.network,
        began: rfc3339(entry.created_at),
        seen: rfc3339(entry.seen_at),
        current: entry.current,
    };
    let sessions = accounts.sessions(identity.account, &session).await?.into_iter().map(show).collect();
    let view = Sessions { sessions, form_token: asked.form_token(&accounts) };
    Ok(view::render(StatusCode::OK, &view))
}

async fn end_session(State(accounts): Site, mut fields: Fields) -> Answer {
    let [id] = fields.take(["session"])?;
    let (identity, _) = fields.asked.signed_in(&accounts, "/account/sessions").await?;
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap_or_default();
    accounts.end_session(identity.account, &id).await?;
    Ok(view::go("/account/sessions"))
}

const CHANGE_PASSWORD: FormPage = FormPage {
    title: "Change your password",
    intro: "You stay signed in here, and are signed out everywhere else.",
    action: "/account/password",
    fields: &[PASSWORD, NEW_PASSWORD],
    submit: "Change the password",
    links: &[("/account", "Back to your account")],
};

async fn password_page(State(accounts): Site, asked: Asked) -> Answer {
    asked.signed_in(&accounts, "/account/password").await?;
    Ok(view::form(&accounts, &asked, &CHANGE_PASSWORD, Shown::default()))
}

async fn password(State(accounts): Site, mut fields: Fields) -> Answer {
    let [old, new] = fields.take(["password", "new_password"])?;
    let asked = &fields.asked;
    let (identity, session) = asked.signed_in(&accounts, "/account/password").await?;
    match accounts.change_password(identity.account, &old, &new, &session, &asked.visitor).await {
        Ok(started) => {
            let mut response = view::go("/account");
            accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(denied) => Ok(view::form(
            &accounts,
            asked,
            &CHANGE_PASSWORD,
            Shown { denied: Some(denied), ..Shown::default() },
        )),
    }
}

const CHANGE_ADDRESS: FormPage = FormPage {
    title: "Change your address",
    intro: "A letter with a link goes to the new address. Until you open it, the old one stays.",
    action: "/account/address",
    fields: &[Field { label: "New e-mail address", autocomplete: "email", ..EMAIL }, PASSWORD],
    submit: "Send the letter",
    links: &[("/account", "Back to your account")],
};

async fn address_page(State(accounts): Site, asked: Asked) -> Answer {
    asked.signed_in(&accounts, "/account/address").await?;
    Ok(view::form(&accounts, &asked, &CHANGE_ADDRESS, Shown::default()))
}

async fn address(State(accounts): Site, mut fields: Fields) -> Answer {
    let [email, password] = fields.take(["email", "password"])?;
    let asked = &fields.asked;
    let (identity, _) = asked.signed_in(&accounts, "/account/address").await?;
    match accounts.request_address(identity.account, &password, &email, asked.visitor.peer).await {
        Ok(()) => {
            let text = "We have sent a letter to the new address. Open the link in it within one hour.";
            Ok(view::message("Look into your mail", text, ("/account", "Back to your account")))
        }
        Err(denied) => {
            let shown = Shown { email: &email, denied: Some(denied), ..Shown::default() };
            Ok(view::form(&accounts, asked, &CHANGE_ADDRESS, shown))
        }
    }
}

const DELETE: FormPage = FormPage {
    title: "Delete your account",
    intro: "The account and all that belongs to it is deleted for good.",
    action: "/account/delete",
    fields: &[
        PASSWORD,
        Field { hint: "Only when you have a second factor; otherwise leave it empty.", ..CODE },
    ],
    submit: "Delete the account",
    links: &[("/account", "Back to your account")],
};

async fn delete_page(State(accounts): Site, asked: Asked) -> Answer {
    asked.signed_in(&accounts, "/account/delete").await?;
    Ok(view::form(&accounts, &asked, &DELETE, Shown::default()))
}

async fn delete(State(accounts): Site, mut fields: Fields) -> Answer {
    let [password, code] = fields.take(["password", "code"])?;
    let asked = &fields.asked;
    let (identity, _) = asked.signed_in(&accounts, "/account/delete").await?;
    match accounts.delete(identity.account, &password, &code, asked.visitor.peer).await {
        Ok(()) => Ok(signed_out(&accounts, "/account/sign-in")),
        Err(denied) => {
            Ok(view::form(&accounts, asked, &DELETE, Shown { denied: Some(denied), ..Shown::default() }))
        }
    }
}

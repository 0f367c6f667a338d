//! Pages for those who are not signed in: registering, a forgotten password, and what the links of letters lead to. A link
//! shows a form and does nothing by itself, since programs that look into mail open links too.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use serde::Deserialize;

use super::{
    Web,
    forms::{Asked, Fields},
    view::{self, EMAIL, Failure, Field, FormPage, NEW_PASSWORD, PASSWORD, Shown},
};
use crate::accounts::Denied;

type Answer = Result<Response, Failure>;
type Site = State<Arc<Web>>;

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/account/register", get(register_page).post(register))
        .route("/account/confirm", get(confirm_page).post(confirm))
        .route("/account/reset", get(reset_page).post(reset))
        .route("/account/reset/new", get(new_password_page).post(new_password))
        .route("/account/address/confirm", get(confirm_address_page).post(confirm_address))
}

/// What stands behind a link's question mark.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

const SIGN_IN: (&str, &str) = ("/account/sign-in", "Sign in");

const REGISTER: FormPage = FormPage {
    title: "Make an account",
    intro: "We send a letter to your address; the link in it finishes the account.",
    action: "/account/register",
    fields: &[EMAIL, Field { name: "password", label: "Password", ..NEW_PASSWORD }],
    submit: "Make the account",
    passkey: None,
    links: &[("/account/sign-in", "I have an account")],
};

async fn register_page(State(web): Site, asked: Asked) -> Response {
    view::form(&web, &asked, &REGISTER, Shown::default())
}

async fn register(State(web): Site, mut fields: Fields) -> Answer {
    let [email, password] = fields.take(["email", "password"])?;
    match web.accounts.register(&email, &password, &fields.asked.visitor).await {
        Ok(()) => Ok(look_into_mail(&web, "Open the link in the letter within 24 hours.")),
        Err(denied) => {
            let shown = Shown { email: &email, ..Shown::again(denied) };
            Ok(view::form(&web, &fields.asked, &REGISTER, shown))
        }
    }
}

fn look_into_mail(web: &Web, text: &str) -> Response {
    view::message(web, "Look into your mail", text, SIGN_IN)
}

const CONFIRM: FormPage = FormPage {
    title: "Confirm your address",
    intro: "Enter the password that you chose when you registered.",
    action: "/account/confirm",
    fields: &[PASSWORD],
    submit: "Finish the account",
    passkey: None,
    links: &[("/account/register", "Register again")],
};

async fn confirm_page(State(web): Site, Query(link): Query<Link>, asked: Asked) -> Response {
    view::form(&web, &asked, &CONFIRM, Shown { link_token: &link.token, ..Shown::default() })
}

async fn confirm(State(web): Site, mut fields: Fields) -> Answer {
    let [token, password] = fields.take(["token", "password"])?;
    match web.accounts.confirm(&token, &password, &fields.asked.visitor).await {
        Ok(_) => Ok(view::message(&web, "Your account is ready", "You can sign in now.", SIGN_IN)),
        Err(denied) => Ok(again(&web, &fields.asked, &CONFIRM, &token, denied)),
    }
}

fn again(web: &Web, asked: &Asked, page: &FormPage, token: &str, denied: Denied) -> Response {
    view::form(web, asked, page, Shown { link_token: token, ..Shown::again(denied) })
}

const RESET: FormPage = FormPage {
    title: "Choose a new password",
    intro: "Enter the address of your account. A letter with a link goes there.",
    action: "/account/reset",
    fields: &[EMAIL],
    submit: "Send the letter",
    passkey: None,
    links: &[SIGN_IN],
};

async fn reset_page(State(web): Site, asked: Asked) -> Response {
    view::form(&web, &asked, &RESET, Shown::default())
}

async fn reset(State(web): Site, mut fields: Fields) -> Answer {
    let [email] = fields.take(["email"])?;
    match web.accounts.request_reset(&email, &fields.asked.visitor).await {
        Ok(()) => Ok(look_into_mail(
            &web,
            "If the address has an account, a letter with a link is on its way to it.",
        )),
        Err(denied) => {
            let shown = Shown { email: &email, ..Shown::again(denied) };
            Ok(view::form(&web, &fields.asked, &RESET, shown))
        }
    }
}

const NEW: FormPage = FormPage {
    title: "Choose a new password",
    intro: "You are signed out everywhere, and sign in with the new password.",
    action: "/account/reset/new",
    fields: &[NEW_PASSWORD],
    submit: "Set the password",
    passkey: None,
    links: &[("/account/reset", "Ask for a new link")],
};

async fn new_password_page(State(web): Site, Query(link): Query<Link>, asked: Asked) -> Response {
    view::form(&web, &asked, &NEW, Shown { link_token: &link.token, ..Shown::default() })
}

async fn new_password(State(web): Site, mut fields: Fields) -> Answer {
    let [token, password] = fields.take(["token", "new_password"])?;
    match web.accounts.reset(&token, &password).await {
        Ok(()) => Ok(view::message(&web, "Your password is set", "You can sign in with it now.", SIGN_IN)),
        Err(denied) => Ok(again(&web, &fields.asked, &NEW, &token, denied)),
    }
}

const CONFIRM_ADDRESS: FormPage = FormPage {
    title: "Confirm your new address",
    intro: "Your account gets this address, and you sign in with it from then on.",
    action: "/account/address/confirm",
    fields: &[],
    submit: "Use this address",
    passkey: None,
    links: &[("/account", "Go to your account")],
};

async fn confirm_address_page(State(web): Site, Query(link): Query<Link>, asked: Asked) -> Response {
    view::form(&web, &asked, &CONFIRM_ADDRESS, Shown { link_token: &link.token, ..Shown::default() })
}

async fn confirm_address(State(web): Site, mut fields: Fields) -> Answer {
    let [token] = fields.take(["token"])?;
    match web.accounts.confirm_address(&token).await {
        Ok(()) => {
            Ok(view::message(&web, "Your address is changed", "Sign in with the new address.", SIGN_IN))
        }
        Err(denied) => Ok(again(&web, &fields.asked, &CONFIRM_ADDRESS, &token, denied)),
    }
}

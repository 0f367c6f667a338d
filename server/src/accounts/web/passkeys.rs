//! The pages of passkeys, and what the script on them asks.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Web,
    factor::Codes,
    forms::{Asked, Fields},
    pages::Time,
    view::{self, CODE, Failure, FormPage, PASSWORD, PasskeyForm, Shown},
};
use crate::{
    accounts::{Denied, Gate, PasskeyEntry, Proof, Purpose},
    http::{Code, Problem},
    site::{Layout, Scripted},
};

type Answer = Result<Response, Failure>;
type Site = State<Arc<Web>>;

/// Where passkeys are; also open to those who must set up a second factor first.
pub(super) const HERE: &str = "/account/passkeys";
/// Where a browser learns what to ask for as a proof.
pub(super) const PROOF: &str = "/account/passkeys/proof";
const REMOVE: &str = "/account/passkeys/remove";

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route(HERE, get(page).post(add))
        .route("/account/passkeys/options", post(creation))
        .route("/account/passkeys/change", get(change_page))
        .route("/account/passkeys/rename", post(rename))
        .route(REMOVE, get(remove_page).post(remove))
        .route("/account/passkeys/remove/passkey", post(remove_by_passkey))
        .route(PROOF, post(proof))
        .route("/account/sign-in/passkey/options", post(sign_in))
        .route("/account/code/passkey/options", post(factor))
}

/// What stands behind the question mark of a page about one passkey.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    item: String,
}

#[derive(Template)]
#[template(path = "account/passkeys.html")]
struct Passkeys<'a> {
    layout: Layout<'a>,
    passkeys: Vec<Row>,
    offered: bool,
    form_token: String,
    error: Option<String>,
}

/// A passkey as it is shown.
struct Row {
    id: String,
    name: String,
    backed_up: bool,
    added: Time,
    used: Option<Time>,
}

impl Row {
    fn of(entry: PasskeyEntry) -> Self {
        Self {
            id: data_encoding::HEXLOWER.encode(&entry.id),
            name: entry.name,
            backed_up: entry.backed_up,
            added: Time::of(entry.created_at),
            used: entry.used_at.map(Time::of),
        }
    }
}

async fn page(State(web): Site, asked: Asked) -> Answer {
    shown(&web, &asked, None).await
}

async fn shown(web: &Web, asked: &Asked, denied: Option<Denied>) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    let offered = web.accounts.offers_passkeys();
    let view = Passkeys {
        layout: view::layout(web, HERE),
        passkeys: web.accounts.passkeys(identity.account).await?.into_iter().map(Row::of).collect(),
        offered,
        form_token: asked.form_token(&web.accounts),
        error: denied.as_ref().map(Denied::sentence),
    };
    let status = denied.map_or(StatusCode::OK, |denied| Problem::from(denied).status());
    let mut response = view::render(status, &view);
    if offered {
        response.extensions_mut().insert(Scripted);
    }
    Ok(response)
}

async fn add(State(web): Site, mut fields: Fields) -> Answer {
    let [name, answer] = fields.take(["name", "passkey"])?;
    let asked = &fields.asked;
    let (identity, session) = asked.signed_in(&web.accounts, HERE).await?;
    let holder = asked.holder();
    let added =
        web.accounts.finish_passkey(identity.account, &name, &answer, (&session, &holder), &asked.visitor);
    let added = match added.await {
        Ok(added) => added,
        Err(denied) => return shown(&web, asked, Some(denied)).await,
    };
    let Some(started) = added.started else { return Ok(view::go(HERE)) };
    let mut response = Codes::of(&web, HERE, &added.codes);
    web.accounts.set_started(response.headers_mut(), &started);
    Ok(response)
}

/// The passkey of an id, if it is theirs.
async fn theirs(web: &Web, asked: &Asked, item: &str) -> Result<Row, Failure> {
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    let passkeys = web.accounts.passkeys(identity.account).await?;
    let found = passkeys.into_iter().map(Row::of).find(|row| row.id == item);
    found.ok_or_else(|| Problem::new(Code::NotFound).because("There is no such passkey").into())
}

fn bytes_of(item: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(item.as_bytes()).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "account/change.html")]
struct Change<'a> {
    layout: Layout<'a>,
    name: &'a str,
    item: &'a str,
    form_token: String,
    error: Option<String>,
}

async fn change_page(State(web): Site, Query(wanted): Query<Wanted>, asked: Asked) -> Answer {
    let row = theirs(&web, &asked, &wanted.item).await?;
    Ok(change(&web, &asked, &row, None))
}

fn change(web: &Web, asked: &Asked, row: &Row, denied: Option<Denied>) -> Response {
    let view = Change {
        layout: view::layout(web, HERE),
        name: &row.name,
        item: &row.id,
        form_token: asked.form_token(&web.accounts),
        error: denied.as_ref().map(Denied::sentence),
    };
    view::render(denied.map_or(StatusCode::OK, |denied| Problem::from(denied).status()), &view)
}

async fn rename(State(web): Site, mut fields: Fields) -> Answer {
    let [item, name] = fields.take(["item", "name"])?;
    let row = theirs(&web, &fields.asked, &item).await?;
    let (identity, _) = fields.asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.rename_passkey(identity.account, &bytes_of(&item), &name).await {
        Ok(()) => Ok(view::go(HERE)),
        Err(denied) => Ok(change(&web, &fields.asked, &row, Some(denied))),
    }
}

const REMOVE_PAGE: FormPage = FormPage {
    title: "Remove a passkey",
    intro: "It signs nobody in any more. Remove it from your device too, or it is still offered there.",
    action: REMOVE,
    fields: &[PASSWORD, CODE],
    submit: "Remove the passkey",
    passkey: Some(PasskeyForm {
        title: "Or with a passkey",
        action: "/account/passkeys/remove/passkey",
        options: PROOF,
        submit: "Remove it with a passkey",
    }),
    links: &[(HERE, "Back to your passkeys")],
};

async fn remove_page(State(web): Site, Query(wanted): Query<Wanted>, asked: Asked) -> Answer {
    theirs(&web, &asked, &wanted.item).await?;
    Ok(remove_form(&web, &asked, &wanted.item, None))
}

fn remove_form(web: &Web, asked: &Asked, item: &str, denied: Option<Denied>) -> Response {
    view::form(web, asked, &REMOVE_PAGE, Shown { item, passkey: true, denied, ..Shown::default() })
}

async fn remove(State(web): Site, mut fields: Fields) -> Answer {
    let [item, typed, code] = fields.take(["item", "password", "code"])?;
    removed(&web, &fields.asked, &item, Proof::Password { typed: &typed, code: &code }).await
}

async fn remove_by_passkey(State(web): Site, mut fields: Fields) -> Answer {
    let [item, answer] = fields.take(["item", "passkey"])?;
    let holder = fields.asked.holder();
    removed(&web, &fields.asked, &item, Proof::Passkey { answer: &answer, holder: &holder }).await
}

async fn removed(web: &Web, asked: &Asked, item: &str, proof: Proof<'_>) -> Answer {
    theirs(web, asked, item).await?;
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.remove_passkey(identity.account, &bytes_of(item), proof, &asked.visitor).await {
        Ok(()) => Ok(view::go(HERE)),
        Err(denied) => Ok(remove_form(web, asked, item, Some(denied))),
    }
}

// What the script asks, which follows no redirect to a page.

fn told(failure: Failure) -> Failure {
    match failure {
        Failure::Go(_) | Failure::SignIn(_) => Failure::Problem(Denied::SignedOut.into()),
        problem @ Failure::Problem(_) => problem,
    }
}

async fn creation(State(web): Site, mut fields: Fields) -> Answer {
    let [name, typed] = fields.take(["name", "password"])?;
    let asked = &fields.asked;
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await.map_err(told)?;
    let holder = asked.holder();
    let options = web.accounts.begin_passkey(identity.account, &typed, &name, &holder, &asked.visitor);
    Ok(Json(options.await.map_err(problem)?).into_response())
}

async fn sign_in(State(web): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    let options = web.accounts.ask_passkey(Purpose::SignIn, &fields.asked.holder(), None).await;
    Ok(Json(options.map_err(problem)?).into_response())
}

async fn factor(State(web): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    asked_of(&web, &fields.asked, "/account/code", Purpose::Factor).await
}

async fn proof(State(web): Site, mut fields: Fields) -> Answer {
    let [] = fields.take([])?;
    asked_of(&web, &fields.asked, HERE, Purpose::Proof).await
}

/// Asks for a passkey of whoever is signed in, as far as this purpose needs it.
async fn asked_of(web: &Web, asked: &Asked, at: &'static str, purpose: Purpose) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, at).await.map_err(told)?;
    if (identity.gate == Gate::Code) != (purpose == Purpose::Factor) {
        return Err(problem(Denied::SignedOut));
    }
    let options = web.accounts.ask_passkey(purpose, &asked.holder(), Some(identity.account)).await;
    Ok(Json(options.map_err(problem)?).into_response())
}

fn problem(denied: Denied) -> Failure {
    Failure::Problem(denied.into())
}

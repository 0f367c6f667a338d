//! The pages of the second factor.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{
    Web,
    forms::{Asked, Fields},
    passkeys,
    view::{self, CODE, Failure, FormPage, PASSWORD, PasskeyForm, Shown},
};
use crate::{
    accounts::{Denied, Proof, Secret},
    http::{Code, Problem},
    site::Layout,
};

type Answer = Result<Response, Failure>;
type Site = State<Arc<Web>>;

const HERE: &str = "/account/second-factor";

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route(HERE, get(page))
        .route("/account/second-factor/begin", post(begin))
        .route("/account/second-factor/finish", post(finish))
        .route("/account/second-factor/remove", post(remove))
        .route("/account/second-factor/remove/passkey", post(remove_by_passkey))
        .route("/account/second-factor/code.svg", get(picture))
}

const BEGIN: FormPage = FormPage {
    title: "Set up an authenticator",
    intro: "With a second factor, signing in takes more than the password: a code of an authenticator, which is a program \
            that makes such codes (TOTP), or a passkey.",
    action: "/account/second-factor/begin",
    fields: &[PASSWORD],
    submit: "Begin",
    passkey: None,
    links: &[(passkeys::HERE, "Use a passkey instead"), ("/account", "Back to your account")],
};

const REMOVE: FormPage = FormPage {
    title: "Your authenticator",
    intro: "It is set up. To remove it, enter your password and a code.",
    action: "/account/second-factor/remove",
    fields: &[PASSWORD, CODE],
    submit: "Remove the authenticator",
    passkey: Some(PasskeyForm {
        title: "Or with a passkey",
        action: "/account/second-factor/remove/passkey",
        options: passkeys::PROOF,
        submit: "Remove it with a passkey",
    }),
    links: &[("/account", "Back to your account")],
};

#[derive(Template)]
#[template(path = "account/enrol.html")]
struct Enrol<'a> {
    layout: Layout<'a>,
    secret: String,
    form_token: String,
    error: Option<String>,
}

async fn page(State(web): Site, asked: Asked) -> Answer {
    shown(&web, &asked, None).await
}

/// The page in the state that the account is in.
async fn shown(web: &Web, asked: &Asked, denied: Option<Denied>) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    if identity.authenticator {
        let passkey = identity.passkeys > 0;
        return Ok(view::form(web, asked, &REMOVE, Shown { denied, passkey, ..Shown::default() }));
    }
    let Some(enrolment) = web.accounts.enrolment(identity.account).await? else {
        return Ok(view::form(web, asked, &BEGIN, Shown { denied, ..Shown::default() }));
    };
    let view = Enrol {
        layout: view::layout(web, HERE),
        secret: grouped(&enrolment.secret),
        form_token: asked.form_token(&web.accounts),
        error: denied.as_ref().map(Denied::sentence),
    };
    let status = denied.map_or(StatusCode::OK, |denied| Problem::from(denied).status());
    Ok(view::render(status, &view))
}

/// In groups of four, to be read and typed.
fn grouped(secret: &Secret) -> String {
    let letters: Vec<char> = secret.reveal().chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

async fn picture(State(web): Site, asked: Asked) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    let Some(enrolment) = web.accounts.enrolment(identity.account).await? else {
        return Err(Problem::new(Code::NotFound).into());
    };
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, enrolment.svg()?).into_response())
}

async fn begin(State(web): Site, mut fields: Fields) -> Answer {
    let [password] = fields.take(["password"])?;
    let (identity, _) = fields.asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.begin_factor(identity.account, &password, fields.asked.visitor.peer).await {
        Ok(()) => Ok(view::go(HERE)),
        Err(denied) => shown(&web, &fields.asked, Some(denied)).await,
    }
}

#[derive(Template)]
#[template(path = "account/codes.html")]
pub(super) struct Codes<'a> {
    layout: Layout<'a>,
    codes: Vec<&'a str>,
}

impl Codes<'_> {
    /// The page that shows recovery codes, once.
    pub(super) fn of(web: &Web, path: &str, codes: &[Secret]) -> Response {
        let codes = codes.iter().map(Secret::reveal).collect();
        view::render(StatusCode::OK, &Codes { layout: view::layout(web, path), codes })
    }
}

async fn finish(State(web): Site, mut fields: Fields) -> Answer {
    let [code] = fields.take(["code"])?;
    let (identity, session) = fields.asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.finish_factor(identity.account, &code, &session, &fields.asked.visitor).await {
        Ok((started, codes)) => {
            let mut response = Codes::of(&web, HERE, &codes);
            web.accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(denied) => shown(&web, &fields.asked, Some(denied)).await,
    }
}

async fn remove(State(web): Site, mut fields: Fields) -> Answer {
    let [typed, code] = fields.take(["password", "code"])?;
    removed(&web, &fields.asked, Proof::Password { typed: &typed, code: &code }).await
}

async fn remove_by_passkey(State(web): Site, mut fields: Fields) -> Answer {
    let [answer] = fields.take(["passkey"])?;
    let holder = fields.asked.holder();
    removed(&web, &fields.asked, Proof::Passkey { answer: &answer, holder: &holder }).await
}

async fn removed(web: &Web, asked: &Asked, proof: Proof<'_>) -> Answer {
    let (identity, _) = asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.remove_factor(identity.account, proof, asked.visitor.peer).await {
        Ok(()) => Ok(view::go("/account")),
        Err(denied) => shown(web, asked, Some(denied)).await,
    }
}

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
    view::{self, CODE, Failure, FormPage, PASSWORD, Shown},
};
use crate::{
    accounts::{Denied, Secret},
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
        .route("/account/second-factor/code.svg", get(picture))
}

const BEGIN: FormPage = FormPage {
    title: "Set up a second factor",
    intro: "With a second factor, signing in takes a code of an authenticator beside the password. You need a program \
            that makes such codes (TOTP).",
    action: "/account/second-factor/begin",
    fields: &[PASSWORD],
    submit: "Begin",
    links: &[("/account", "Back to your account")],
};

const REMOVE: FormPage = FormPage {
    title: "Your second factor",
    intro: "It is set up. To remove it, enter your password and a code.",
    action: "/account/second-factor/remove",
    fields: &[PASSWORD, CODE],
    submit: "Remove the second factor",
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
    if identity.second_factor {
        return Ok(view::form(web, asked, &REMOVE, Shown { denied, ..Shown::default() }));
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
struct Codes<'a> {
    layout: Layout<'a>,
    codes: Vec<String>,
}

async fn finish(State(web): Site, mut fields: Fields) -> Answer {
    let [code] = fields.take(["code"])?;
    let (identity, session) = fields.asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.finish_factor(identity.account, &code, &session, &fields.asked.visitor).await {
        Ok((started, codes)) => {
            let codes = codes.iter().map(|code| code.reveal().to_owned()).collect();
            let mut response =
                view::render(StatusCode::OK, &Codes { layout: view::layout(&web, HERE), codes });
            web.accounts.set_started(response.headers_mut(), &started);
            Ok(response)
        }
        Err(denied) => shown(&web, &fields.asked, Some(denied)).await,
    }
}

async fn remove(State(web): Site, mut fields: Fields) -> Answer {
    let [password, code] = fields.take(["password", "code"])?;
    let (identity, _) = fields.asked.signed_in(&web.accounts, HERE).await?;
    match web.accounts.remove_factor(identity.account, &password, &code, fields.asked.visitor.peer).await {
        Ok(()) => Ok(view::go("/account")),
        Err(denied) => shown(&web, &fields.asked, Some(denied)).await,
    }
}

//! What the pages show.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{Web, cookies::Cookie, forms::Asked, next::Next};
use crate::{
    Error,
    accounts::Denied,
    http::Problem,
    site::{Layout, Scripted},
};

/// A field of a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    /// What browsers and password managers fill in (HTML, autofill detail tokens).
    pub(super) autocomplete: &'static str,
    pub(super) hint: &'static str,
    pub(super) required: bool,
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

const TEXT: Field =
    Field { name: "", label: "", kind: "text", autocomplete: "off", hint: "", required: true };

pub(super) const EMAIL: Field =
    Field { name: "email", label: "E-mail address", kind: "email", autocomplete: "username", ..TEXT };
pub(super) const PASSWORD: Field =
    Field { name: "password", label: "Password", kind: "password", autocomplete: "current-password", ..TEXT };
pub(super) const NEW_PASSWORD: Field = Field {
    name: "new_password",
    label: "New password",
    kind: "password",
    autocomplete: "new-password",
    hint: "At least 10 characters. Several words are good; no other rules.",
    ..TEXT
};
pub(super) const CODE: Field = Field {
    name: "code",
    label: "Code",
    kind: "text",
    autocomplete: "one-time-code",
    hint: "Six digits of your authenticator, or one of your recovery codes.",
    ..TEXT
};

/// A page with one form.
pub(super) struct FormPage {
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) action: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) submit: &'static str,
    /// A passkey in place of all that.
    pub(super) passkey: Option<PasskeyForm>,
    /// Where else to go: path and words.
    pub(super) links: &'static [(&'static str, &'static str)],
}

/// A form that a passkey fills in.
pub(super) struct PasskeyForm {
    pub(super) title: &'static str,
    /// Where the answer goes.
    pub(super) action: &'static str,
    /// Where the browser learns what to ask for.
    pub(super) options: &'static str,
    pub(super) submit: &'static str,
}

#[derive(Template)]
#[template(path = "account/form.html")]
struct FormView<'a> {
    layout: Layout<'a>,
    page: &'a FormPage,
    passkey: Option<&'a PasskeyForm>,
    form_token: String,
    link_token: &'a str,
    item: &'a str,
    next: &'a str,
    email: &'a str,
    error: Option<String>,
    /// The field that is wrong; empty when it is not known which.
    wrong: &'static str,
    /// The field where to begin again; empty when none helps.
    begin: &'static str,
}

/// What a form is shown with.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// The token of a mailed link, which goes along.
    pub(super) link_token: &'a str,
    /// What it is about, of several.
    pub(super) item: &'a str,
    /// Whether whoever asks may have a passkey for it.
    pub(super) passkey: bool,
    /// Where it goes on afterwards.
    pub(super) next: Option<&'a Next>,
    /// The address that was typed before.
    pub(super) email: &'a str,
    /// Why it is shown again.
    pub(super) denied: Option<Denied>,
}

impl Shown<'_> {
    /// With the reason why it is shown again.
    pub(super) fn again(denied: Denied) -> Self {
        Self { denied: Some(denied), ..Self::default() }
    }
}

/// The frame of a page of one person.
pub(super) fn layout<'a>(web: &'a Web, path: &'a str) -> Layout<'a> {
    web.frame.layout(path).unlisted()
}

/// A form.
pub(super) fn form(web: &Web, asked: &Asked, page: &FormPage, shown: Shown<'_>) -> Response {
    let has = |name: &str| page.fields.iter().any(|field| field.name == name);
    let wrong = shown.denied.as_ref().and_then(Denied::field).filter(|name| has(name)).unwrap_or_default();
    let begin = match shown.denied {
        Some(Denied::Credentials) => page.fields.first().map_or("", |field| field.name),
        _ => wrong,
    };
    let passkey = page.passkey.as_ref().filter(|_| shown.passkey && web.accounts.offers_passkeys());
    let view = FormView {
        layout: layout(web, page.action),
        page,
        passkey,
        form_token: asked.form_token(&web.accounts),
        link_token: shown.link_token,
        item: shown.item,
        next: shown.next.map_or("", Next::path),
        email: shown.email,
        error: shown.denied.as_ref().map(Denied::sentence),
        wrong,
        begin,
    };
    let problem = shown.denied.map(Problem::from);
    let mut response = render(problem.as_ref().map_or(StatusCode::OK, Problem::status), &view);
    if passkey.is_some() {
        response.extensions_mut().insert(Scripted);
    }
    if let Some(problem) = problem {
        // Retry-After, when the problem has one.
        let headers = problem.into_response().into_parts().0.headers;
        if let Some(after) = headers.get(header::RETRY_AFTER) {
            response.headers_mut().insert(header::RETRY_AFTER, after.clone());
        }
    }
    with_visitor(web, asked, response)
}

/// Gives the browser the cookie that its forms hang on.
fn with_visitor(web: &Web, asked: &Asked, mut response: Response) -> Response {
    if asked.is_new {
        web.accounts.set_cookie(response.headers_mut(), Cookie::Visitor, Some(&asked.before));
    }
    response
}

#[derive(Template)]
#[template(path = "account/message.html")]
struct MessageView<'a> {
    layout: Layout<'a>,
    title: &'a str,
    text: &'a str,
    link: (&'a str, &'a str),
}

/// A page that says one thing.
pub(super) fn message(web: &Web, title: &str, text: &str, link: (&str, &str)) -> Response {
    render(StatusCode::OK, &MessageView { layout: layout(web, "/account"), title, text, link })
}

/// A page of a template; the router gives it the headers.
pub(super) fn render(status: StatusCode, view: &impl Template) -> Response {
    match view.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            let source = std::io::Error::other(error.to_string());
            Problem::from(Error::Io { doing: "writing", what: "a page".into(), source }).into_response()
        }
    }
}

/// To another page of ours, by GET.
pub(super) fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Why a page is not shown.
pub(super) enum Failure {
    /// Something else comes first.
    Go(&'static str),
    /// Signing in comes first, and then this page.
    SignIn(&'static str),
    /// It cannot be.
    Problem(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::SignedOut => Self::SignIn("/account"),
            other => Self::Problem(other.into()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        const SIGN_IN: &str = "/account/sign-in";
        match self {
            Self::Go(path) => go(path),
            // Where signing in leads by itself.
            Self::SignIn("/account") => go(SIGN_IN),
            Self::SignIn(path) => go(&Next::parse(path).map_or(SIGN_IN.into(), |next| next.after(SIGN_IN))),
            // The router makes a page of it.
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

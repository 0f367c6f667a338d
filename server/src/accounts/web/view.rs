//! What the pages show.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{cookies::Cookie, forms::Asked};
use crate::{
    Error,
    accounts::{Accounts, Denied},
    http::Problem,
};

/// A field of a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    /// What browsers and password managers fill in (HTML, autofill detail tokens).
    pub(super) autocomplete: &'static str,
    pub(super) hint: &'static str,
}

pub(super) const EMAIL: Field =
    Field { name: "email", label: "E-mail address", kind: "email", autocomplete: "username", hint: "" };
pub(super) const PASSWORD: Field = Field {
    name: "password",
    label: "Password",
    kind: "password",
    autocomplete: "current-password",
    hint: "",
};
pub(super) const NEW_PASSWORD: Field = Field {
    name: "new_password",
    label: "New password",
    kind: "password",
    autocomplete: "new-password",
    hint: "At least 10 characters. Several words are good; no other rules.",
};
pub(super) const CODE: Field = Field {
    name: "code",
    label: "Code",
    kind: "text",
    autocomplete: "one-time-code",
    hint: "Six digits of your authenticator, or one of your recovery codes.",
};

/// A page with one form.
pub(super) struct FormPage {
    pub(super) title: &'static str,
    pub(super) intro: &'static str,
    pub(super) action: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) submit: &'static str,
    /// Where else to go: path and words.
    pub(super) links: &'static [(&'static str, &'static str)],
}

#[derive(Template)]
#[template(path = "account/form.html")]
struct FormView<'a> {
    page: &'a FormPage,
    form_token: String,
    link_token: &'a str,
    email: &'a str,
    error: Option<String>,
    error_field: &'static str,
}

/// What a form is shown with.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// The token of a mailed link, which goes along.
    pub(super) link_token: &'a str,
    /// The address that was typed before.
    pub(super) email: &'a str,
    /// Why it is shown again.
    pub(super) denied: Option<Denied>,
}

/// A form.
pub(super) fn form(accounts: &Accounts, asked: &Asked, page: &FormPage, shown: Shown<'_>) -> Response {
    let has = |name: &str| page.fields.iter().any(|field| field.name == name);
    let view = FormView {
        page,
        form_token: asked.form_token(accounts),
        link_token: shown.link_token,
        email: shown.email,
        error: shown.denied.as_ref().map(Denied::sentence),
        error_field: shown.denied.as_ref().and_then(Denied::field).filter(|name| has(name)).unwrap_or("form"),
    };
    let problem = shown.denied.map(Problem::from);
    let mut response = render(problem.as_ref().map_or(StatusCode::OK, Problem::status), &view);
    if let Some(problem) = problem {
        // Retry-After, when the problem has one.
        let headers = problem.into_response().into_parts().0.headers;
        if let Some(after) = headers.get(header::RETRY_AFTER) {
            response.headers_mut().insert(header::RETRY_AFTER, after.clone());
        }
    }
    with_visitor(accounts, asked, response)
}

/// Gives the browser the cookie that its forms hang on.
pub(super) fn with_visitor(accounts: &Accounts, asked: &Asked, mut response: Response) -> Response {
    if asked.is_new {
        accounts.set_cookie(response.headers_mut(), Cookie::Visitor, Some(&asked.before));
    }
    response
}

#[derive(Template)]
#[template(path = "account/message.html")]
struct MessageView<'a> {
    title: &'a str,
    text: &'a str,
    link: (&'a str, &'a str),
}

/// A page that says one thing.
pub(super) fn message(title: &str, text: &str, link: (&str, &str)) -> Response {
    render(StatusCode::OK, &MessageView { title, text, link })
}

/// A page of a template. None is kept by a cache, and no address of one, which may hold a token, goes to another site.
pub(super) fn render(status: StatusCode, view: &impl Template) -> Response {
    match view.render() {
        Ok(text) => {
            let mut response = (status, Html(text)).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // Not `no-referrer`: it would make the Origin of our own forms `null`.
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
            response
        }
        Err(error) => {
            let source = std::io::Error::other(error.to_string());
            Problem::from(Error::Io { doing: "writing", what: "a page".into(), source }).into_response()
        }
    }
}

/// To another page of ours, by GET.
pub(super) fn go(path: &str) -> Response {
    let mut response = Redirect::to(path).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why a page is not shown.
pub(super) enum Failure {
    /// Something else comes first.
    Go(&'static str),
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
            Denied::SignedOut => Self::Go("/account/sign-in"),
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
        match self {
            Self::Go(path) => go(path),
            Self::Problem(problem) => {
                let view = MessageView {
                    title: "This did not work",
                    text: problem.sentence(),
                    link: ("/account", "Go to your account"),
                };
                render(problem.status(), &view)
            }
        }
    }
}

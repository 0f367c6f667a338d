//! Browsers that keep cookies, and what they are answered.

use std::collections::BTreeMap;

use aegis_server::{accounts::Secret, http::Peer};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

#[derive(Clone)]
pub(crate) struct Browser {
    pub(super) router: Router,
    pub(super) peer: Peer,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) raw_cookie: Option<String>,
    pub(crate) agent: String,
    pub(crate) host: Option<String>,
    pub(crate) extra: Vec<(&'static str, &'static str)>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_with("GET", path, headers, None).await
    }

    pub(crate) async fn json(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(("application/json", body.to_string()))).await
    }

    /// Opens the page of a form and sends it.
    pub(crate) async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from(path, path, fields).await
    }

    /// Opens a link of a letter and sends its form.
    pub(crate) async fn follow(&mut self, link: &str, fields: &[(&str, &str)]) -> Answer {
        let (path, token) = link.split_once("?token=").unwrap();
        let fields: Vec<_> = fields.iter().copied().chain([("token", token)]).collect();
        self.post_from(link, path, &fields).await
    }

    /// Opens one page for its token, and posts to another.
    pub(crate) async fn post_from(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get(page).await.form_token();
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post_raw(path, &fields).await
    }

    /// Posts what has no page of its own, with the token of the account's page.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from("/account", path, fields).await
    }

    pub(crate) async fn post_raw(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let pair = |(name, value): &(&str, &str)| format!("{}={}", escaped(name), escaped(value));
        let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
        self.send("POST", path, Some(("application/x-www-form-urlencoded", body))).await
    }

    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let answer = self.form("/account/sign-in", &[("email", email), ("password", password)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        answer
    }

    pub(crate) fn session(&self) -> Secret {
        Secret::parse(&self.cookies["aegis"]).unwrap()
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, body: Option<(&str, String)>) -> Answer {
        self.send_with(method, path, &[], body).await
    }

    async fn send_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).extension(self.peer);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = self.raw_cookie.clone().unwrap_or_else(|| cookies.join("; "));
        request = request.header(header::COOKIE, cookies).header(header::USER_AGENT, &self.agent);
        request = request.header(header::HOST, self.host.as_deref().unwrap_or("localhost:8080"));
        for (name, value) in self.extra.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some((kind, body)) => request.header(header::CONTENT_TYPE, kind).body(Body::from(body)),
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let location = parts.headers.get(header::LOCATION).map(|path| path.to_str().unwrap().to_owned());
        Answer { status: parts.status, location, headers: parts.headers, body }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The token of the page's forms; empty when it has none.
    pub(crate) fn form_token(&self) -> String {
        self.values_of("form_token").into_iter().next().unwrap_or_default()
    }

    /// The values of the hidden fields of a name.
    pub(crate) fn values_of(&self, name: &str) -> Vec<String> {
        let start = format!("name=\"{name}\" value=\"");
        self.body.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

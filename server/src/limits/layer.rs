//! The limits in front of handlers: who asks, what the rules say, and the headers that tell it.
//!
//! Headers as draft-ietf-httpapi-ratelimit-headers-10 has them: `RateLimit-Policy` says what the rules are, `RateLimit`
//! what is left.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::HeaderValue,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::{
    By, Decision, Limiter, Rule, Subject,
    address::{Network, client_address},
};
use crate::http::{Code, Problem};

/// The address of the connection, which the accept loop puts into the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The address of the client, which [`identify`] puts into the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// The account of the person who is signed in, which the handler of sessions puts into the extensions of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person(pub Vec<u8>);

/// In the extensions of an answer: the rule that refused the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied(pub &'static str);

/// The rules of some routes.
pub struct Guard {
    limiter: Arc<Limiter>,
    rules: Vec<Rule>,
    policy: Option<HeaderValue>,
}

impl Guard {
    /// Every rule must allow a request; they are asked in their order.
    pub fn new(limiter: Arc<Limiter>, rules: Vec<Rule>) -> Self {
        let items: Vec<_> = rules
            .iter()
            .map(|rule| format!("\"{}\";q={};w={}", rule.name, rule.quota, rule.window))
            .collect();
        let policy = HeaderValue::from_str(&items.join(", ")).ok().filter(|value| !value.is_empty());
        Self { limiter, rules, policy }
    }

    /// Whom each rule counts for a request.
    fn subjects(&self, request: &Request) -> Vec<(&Rule, Subject)> {
        self.rules.iter().filter_map(|rule| Some((rule, subject(rule, request)?))).collect()
    }

    async fn ask<'a>(&self, subjects: Vec<(&'a Rule, Subject)>) -> Vec<(&'a Rule, Decision)> {
        let mut answers = Vec::with_capacity(subjects.len());
        for (rule, subject) in subjects {
            let decision = self.limiter.check(rule, subject).await;
            answers.push((rule, decision));
            if !decision.allowed {
                break;
            }
        }
        answers
    }
}

/// Finds the client's address behind trusted proxies and notes it as [`Client`]; for the outside of the whole site.
pub fn identify(router: Router, trusted: Vec<Network>) -> Router {
    let trusted: Arc<[Network]> = trusted.into();
    router.layer(middleware::from_fn_with_state(trusted, note_client))
}

async fn note_client(State(trusted): State<Arc<[Network]>>, mut request: Request, next: Next) -> Response {
    // Without a peer everyone is counted together; only a test has none.
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let client = client_address(peer, request.headers().get_all("x-forwarded-for"), &trusted);
    request.extensions_mut().insert(Client(client));
    next.run(request).await
}

/// Puts the rules of `guard` in front of every route of `router`.
pub fn layer(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(middleware::from_fn_with_state(guard, limit))
}

async fn limit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let answers = guard.ask(guard.subjects(&request)).await;
    let refused = answers.iter().find(|(_, decision)| !decision.allowed);
    let mut response = match refused {
        None => next.run(request).await,
        Some((rule, decision)) => {
            let problem = Problem::new(Code::RateLimited).retry_after(decision.retry_after);
            let mut response = problem.into_response();
            response.extensions_mut().insert(Denied(rule.name));
            response
        }
    };
    let headers = response.headers_mut();
    if let Some(policy) = &guard.policy {
        headers.insert("ratelimit-policy", policy.clone());
    }
    if let Ok(left) = HeaderValue::from_str(&left(&answers))
        && !left.is_empty()
    {
        headers.insert("ratelimit", left);
    }
    response
}

fn subject(rule: &Rule, request: &Request) -> Option<Subject> {
    let extensions = request.extensions();
    match rule.by {
        By::Person => extensions.get::<Person>().map(|person| Subject::person(&person.0)),
        By::Address => {
            let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            Some(Subject::address(extensions.get::<Client>().map_or(unknown, |client| client.0)))
        }
        By::Route => {
            Some(Subject::route(extensions.get::<MatchedPath>().map_or("", |matched| matched.as_str())))
        }
    }
}

fn left(answers: &[(&Rule, Decision)]) -> String {
    let mut text = String::new();
    for (rule, decision) in answers {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}\"{}\";r={};t={}", rule.name, decision.remaining, decision.reset);
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, routing::get};
    use tower::ServiceExt as _;

    use super::*;
    use crate::Clock;

    fn site(rules: Vec<Rule>, clock: &Clock) -> Router {
        let guard = Arc::new(Guard::new(Arc::new(Limiter::new(clock.clone())), rules));
        let routes = Router::new().route("/a/{id}", get(|| async { "a" })).route("/b", get(|| async { "b" }));
        identify(layer(routes, guard), vec!["10.0.0.0/8".parse().unwrap()])
    }

    async fn ask(site: &Router, path: &str, peer: [u8; 4], forwarded: &str) -> Response {
        let mut request =
            Request::builder().uri(path).header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(IpAddr::V4(peer.into())));
        site.clone().oneshot(request).await.unwrap()
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[tokio::test]
    async fn a_refusal_says_when_and_by_which_rule() {
        let clock = Clock::default();
        let by_address = Rule { name: "address", by: By::Address, quota: 2, window: 60, shared: false };
        let by_route = Rule { name: "route", by: By::Route, quota: 100, window: 10, shared: false };
        let site = site(vec![by_address, by_route], &clock);
        let first = ask(&site, "/b", [192, 0, 2, 1], "198.51.100.1").await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(header(&first, "ratelimit-policy"), "\"address\";q=2;w=60, \"route\";q=100;w=10");
        assert_eq!(header(&first, "ratelimit"), "\"address\";r=1;t=30, \"route\";r=99;t=1");
        // Another forged address for each does not help.
        ask(&site, "/b", [192, 0, 2, 1], "198.51.100.2").await;
        let refused = ask(&site, "/b", [192, 0, 2, 1], "198.51.100.3").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&refused, "content-type"), "application/problem+json");
        assert_eq!(refused.extensions().get(), Some(&Denied("address")));
        let wait: i64 = header(&refused, "retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait));
        assert!(header(&refused, "ratelimit").starts_with("\"address\";r=0;t="));
        // Behind a proxy of ours each client counts for itself.
        for client in ["192.0.2.2", "192.0.2.3", "192.0.2.2"] {
            assert_eq!(ask(&site, "/b", [10, 0, 0, 1], client).await.status(), StatusCode::OK, "{client}");
        }
        clock.advance(wait);
        assert_eq!(ask(&site, "/b", [192, 0, 2, 1], "").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_route_is_its_template_and_a_person_is_counted_wherever_from() {
        let clock = Clock::default();
        let by_route = Rule { name: "route", by: By::Route, quota: 2, window: 60, shared: false };
        let of_routes = site(vec![by_route], &clock);
        for (path, expected) in [("/a/1", 200), ("/a/2", 200), ("/a/3", 429), ("/b", 200)] {
            assert_eq!(ask(&of_routes, path, [192, 0, 2, 1], "").await.status().as_u16(), expected, "{path}");
        }
        let of_people = site(vec![Rule { name: "person", by: By::Person, ..by_route }], &clock);
        for (host, expected) in [(1, 200), (2, 200), (3, 429)] {
            let mut request = Request::builder().uri("/b").body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer(IpAddr::V4([192, 0, 2, host].into())));
            request.extensions_mut().insert(Person(b"one".to_vec()));
            assert_eq!(of_people.clone().oneshot(request).await.unwrap().status().as_u16(), expected);
        }
        let nobody = ask(&of_people, "/b", [192, 0, 2, 1], "").await;
        assert_eq!(nobody.status(), StatusCode::OK);
        assert!(nobody.headers().get("ratelimit").is_none());
    }
}

//! The public site: every page is made once, when the program starts, and answered from memory.
//!
//! Invariants: what pages say of editions and releases comes from [`Facts`] alone; no page has inline code or style, and
//! none loads anything from elsewhere. Whoever publishes a release builds the site anew and exchanges it.

mod assets;
mod colour;
mod encoding;
mod facts;
mod files;
mod framed;
mod headers;
mod layout;
mod matrix;
mod page;
mod pages;
mod pricing;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header},
    response::IntoResponse,
};

pub use assets::AssetPaths;
pub use facts::{Facts, Operator, Release};
pub use framed::framed;
pub use headers::{Scripted, security_headers};
pub use layout::{Column, Frame, Layout, Place};
pub use page::Page;

use self::{assets::Assets, page::REVALIDATE, pricing::Form, shown::Shown};
use crate::{
    Result,
    http::{Code, Problem},
};

const HTML: &str = "text/html; charset=utf-8";
const PRICING: &str = "/pricing";
const NOT_FOUND: &str = "/not-found";

/// Addresses of the first server, and others that people guess.
const MOVED: [(&str, &str); 15] = [
    ("/ai", "/editions/ai-dev"),
    ("/attributions", "/licenses"),
    ("/documentation", "/docs"),
    ("/download", "/downloads"),
    ("/editions", "/#editions"),
    ("/favicon.ico", "/favicon.svg"),
    ("/features", "/compare"),
    ("/gaming-compatibility", "/gaming"),
    ("/install-guide", "/install"),
    ("/iso-download", "/downloads"),
    ("/iso-verification", "/downloads#verify"),
    ("/security-comparison", "/compare"),
    ("/security.txt", "/.well-known/security.txt"),
    ("/system-requirements", "/requirements"),
    ("/technical-specs", "/requirements"),
];

/// Every page and asset, ready to be sent.
#[derive(Debug)]
pub struct Site {
    pages: HashMap<String, Page>,
    moved: HashMap<String, HeaderValue>,
    not_found: Page,
    frame: Frame,
    shown: Shown,
    facts: Facts,
}

impl Site {
    /// Makes every page.
    ///
    /// # Errors
    /// When a fact is not what it must be: origin, operator, a colour, a release.
    pub fn build(facts: &Facts) -> Result<Self> {
        facts.check()?;
        let assets = Assets::build(&facts.specs)?;
        let frame = Frame::of(assets.paths, &facts.specs, &facts.origin, &facts.operator.name);
        let shown = Shown::of(facts);
        let html = |text: String| Page::new(text.into_bytes(), HTML, REVALIDATE);
        let mut pages = HashMap::new();
        for (path, text) in texts(&frame, &shown)? {
            pages.insert(path, html(text)?);
        }
        let mut paths: Vec<_> = pages.keys().cloned().collect();
        paths.sort();
        pages.extend(files::build(facts, &paths)?);
        let moved = moved(&paths);
        pages.extend(assets.files);
        let not_found = html(pages::not_found(frame.layout(NOT_FOUND))?)?;
        Ok(Self { pages, moved, not_found, frame, shown, facts: facts.clone() })
    }

    /// Answers for a path of the site: the page, 304, 308 to where it is now, 405, 406. `None` when the path is not one of
    /// them.
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        if let Some(page) = self.pages.get(path) {
            return Some(page.answer(method, headers));
        }
        let clean = path.strip_suffix('/').unwrap_or(path);
        let clean = clean.strip_suffix(".html").unwrap_or(clean);
        let to = match self.moved.get(clean) {
            Some(to) => to.clone(),
            None if clean != path && clean.len() > 1 && self.pages.contains_key(clean) => {
                HeaderValue::from_str(clean).ok()?
            }
            None => return None,
        };
        Some(if page::is_read(method) { redirect(to) } else { page::not_allowed() })
    }

    /// As [`Site::answer`], with the calculator for `/pricing?…`.
    pub fn serve(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
        match uri.query() {
            Some(query) if uri.path() == PRICING && page::is_read(method) => {
                let mut response = self.calculator(query);
                if method == Method::HEAD {
                    *response.body_mut() = Body::empty();
                }
                Some(response)
            }
            _ => self.answer(method, uri.path(), headers),
        }
    }

    /// The page of prices with the calculator filled in by a query such as `users=20&term=annual`. What is wrong with it is
    /// said on the page, with status 422.
    pub fn calculator(&self, query: &str) -> Response<Body> {
        let form = Form::read(query, &self.facts.specs);
        let layout = self.layout(PRICING).unlisted();
        let html = match pages::pricing(layout, &self.shown, &form) {
            Ok(html) => html,
            Err(error) => return Problem::from(error).into_response(),
        };
        let length = html.len();
        let mut response = Response::new(Body::from(html));
        if form.is_wrong() {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        security_headers(headers);
        response
    }

    /// The page that says that there is nothing, with status 404.
    pub fn not_found(&self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        if !page::is_read(method) {
            return Problem::new(Code::NotFound).into_response();
        }
        self.not_found.answer_as(StatusCode::NOT_FOUND, method, headers)
    }

    /// For a person: the page in place of a bare error of another part.
    pub fn in_frame(&self, response: Response<Body>) -> Response<Body> {
        framed::in_frame(&self.frame, response)
    }

    /// The frame for a page of another part, at this path.
    pub fn layout<'a>(&'a self, path: &'a str) -> Layout<'a> {
        self.frame.layout(path)
    }

    /// Every path that has an answer of its own, in no order.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Page)> {
        self.pages.iter().map(|(path, page)| (path.as_str(), page))
    }
}

/// Path and HTML of every page.
fn texts(frame: &Frame, shown: &Shown) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in pages::PLAIN {
        let class = if path == "/gaming" { "e-gamer" } else { "" };
        texts.push((path.to_owned(), pages::plain(frame.layout(path).coloured(class), shown)?));
    }
    for edition in &shown.editions {
        let class = format!("e-{}", edition.id);
        let layout = frame.layout(&edition.href).coloured(&class);
        texts.push((edition.href.clone(), pages::edition(layout, edition)?));
    }
    let empty = Form::default();
    texts.push((PRICING.to_owned(), pages::pricing(frame.layout(PRICING), shown, &empty)?));
    Ok(texts)
}

/// Where an address leads that is none any more; with `.html` or a slash at the end too.
fn moved(paths: &[String]) -> HashMap<String, HeaderValue> {
    let editions = paths.iter().filter_map(|path| Some((path.strip_prefix("/editions")?, path.as_str())));
    let home = [("/index", "/")];
    let all = MOVED.into_iter().chain(home).chain(editions);
    let known = |path: &str| paths.iter().any(|one| one == path);
    all.filter(|(from, _)| !known(from))
        .filter_map(|(from, to)| Some((from.to_owned(), HeaderValue::from_str(to).ok()?)))
        .collect()
}

fn redirect(to: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, to);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(REVALIDATE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    response
}

//! A site on a database of its own.

#[path = "visitor.rs"]
mod visitor;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aegis_editions::Spec;
use aegis_server::{
    Clock, Error,
    accounts::{self, AccountId, Accounts, Settings},
    audit::{Log, Signer},
    http::Peer,
    mail::{Courier, Folder, Letter, Post},
    secret::Dated,
    site::Frame,
    store::{self, Later, Statement, Store},
};
use argon2::password_hash::PasswordHasher;
use axum::{Router, http::StatusCode};
use serde_json::{Value, json};

pub(crate) use visitor::{Answer, Browser};

pub(crate) const PASSWORD: &str = "correct horse on a hill";
pub(crate) const ORIGIN: &str = "http://localhost:8080";

pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

pub(crate) struct Site {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: Clock,
    pub(crate) url: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<Log<dyn Store>>,
    router: Router,
    folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with_origin(ORIGIN).await
    }

    pub(crate) async fn with_origin(origin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("db").display());
        Self::made(&url, [7; 32], origin, folder, Clock::default()).await
    }

    pub(crate) async fn at(url: &str, secret: [u8; 32]) -> Self {
        Self::at_origin(url, secret, ORIGIN).await
    }

    pub(crate) async fn at_origin(url: &str, secret: [u8; 32], origin: &str) -> Self {
        Self::made(url, secret, origin, tempfile::tempdir().unwrap(), Clock::default()).await
    }

    /// What a second process on the same database and the same machine's clock has.
    pub(crate) async fn in_another_process(&self) -> Self {
        Self::made(&self.url, [7; 32], ORIGIN, tempfile::tempdir().unwrap(), self.clock.clone()).await
    }

    /// The same site after the secret was rotated and the process was started again.
    pub(crate) async fn rotated(&self, secrets: Vec<Dated>) -> Self {
        let site = Self::at(&self.url, [7; 32]).await;
        let mut settings = Settings::new(ORIGIN, [7; 32]);
        (settings.hashing, settings.waiting, settings.secrets) = (2, 12, secrets);
        let accounts = Accounts::new(Arc::clone(&site.store), self.clock.clone(), settings).unwrap();
        let accounts = Arc::new(accounts.with_log(Arc::clone(&site.log)));
        let frame = Frame::new(&Spec::all().unwrap(), ORIGIN, "The Aegis OS authors").unwrap();
        let router = accounts::router(Arc::clone(&accounts), Arc::new(frame));
        Self { accounts, router, clock: self.clock.clone(), ..site }
    }

    async fn made(
        url: &str,
        secret: [u8; 32],
        origin: &str,
        folder: tempfile::TempDir,
        clock: Clock,
    ) -> Self {
        let store = store::open(url, &clock).await.unwrap();
        let mut settings = Settings::new(origin, secret);
        (settings.hashing, settings.waiting) = (2, 12);
        let log = Arc::new(Log::new(Arc::clone(&store), signer(&secret)));
        let accounts = Accounts::new(Arc::clone(&store), clock.clone(), settings).unwrap();
        let accounts = Arc::new(accounts.with_log(Arc::clone(&log)));
        let frame = Frame::new(&Spec::all().unwrap(), origin, "The Aegis OS authors").unwrap();
        let router = accounts::router(Arc::clone(&accounts), Arc::new(frame));
        Self { accounts, clock, url: url.into(), store, log, router, folder }
    }

    pub(crate) fn browser(&self) -> Browser {
        self.browser_at("192.0.2.1")
    }

    pub(crate) fn browser_at(&self, peer: &str) -> Browser {
        Browser {
            router: self.router.clone(),
            peer: Peer(peer.parse().unwrap()),
            cookies: BTreeMap::new(),
            raw_cookie: None,
            agent: "Test".into(),
            host: None,
            extra: Vec::new(),
        }
    }

    // Letters.

    /// Every letter so far, decoded, in the order of their coming.
    pub(crate) async fn letters(&self) -> Vec<String> {
        let post = Arc::new(
            Folder::new(self.folder.path().join("mail"), "Aegis OS <no-reply@example.org>").unwrap(),
        );
        let courier = Courier::new(Arc::clone(&self.store), post, self.clock.clone());
        while courier.deliver_due().await.unwrap() > 0 {}
        let files = std::fs::read_dir(self.folder.path().join("mail")).unwrap();
        let mut letters: Vec<_> = files
            .map(|file| file.unwrap().path())
            .map(|path| {
                (
                    std::fs::metadata(&path).unwrap().modified().unwrap(),
                    std::fs::read_to_string(&path).unwrap(),
                )
            })
            .collect();
        letters.sort();
        // Quoted-printable: soft line breaks and the sign that they need.
        letters.into_iter().map(|(_, text)| text.replace("=\r\n", "").replace("=3D", "=")).collect()
    }

    /// The links of a kind, by the letters they came in.
    pub(crate) async fn links(&self, path: &str) -> Vec<String> {
        let letters = self.letters().await;
        let start = format!("{path}?token=");
        let of = |letter: &String| {
            let at = letter.find(&start)?;
            Some(letter[at..].split_whitespace().next().unwrap().to_owned())
        };
        letters.iter().filter_map(of).collect()
    }

    /// The last one that was not seen before.
    pub(crate) async fn link(&self, path: &str) -> String {
        let links = self.links(path).await;
        let seen = self.folder.path().join("seen");
        let before = std::fs::read_to_string(&seen).unwrap_or_default();
        let fresh: Vec<_> = links.into_iter().filter(|link| !before.contains(link.as_str())).collect();
        assert_eq!(fresh.len(), 1, "one new letter");
        std::fs::write(&seen, format!("{before}{}\n", fresh[0])).unwrap();
        fresh[0].clone()
    }

    // Accounts.

    pub(crate) async fn register(&self, email: &str, password: &str) {
        let fields = [("email", email), ("password", password)];
        assert_eq!(self.browser().form("/account/register", &fields).await.status, StatusCode::OK);
    }

    pub(crate) async fn account(&self, email: &str, password: &str) {
        self.register(email, password).await;
        let link = self.link("/account/confirm").await;
        assert_eq!(self.browser().follow(&link, &[("password", password)]).await.status, StatusCode::OK);
    }

    /// One walk through everything that an account does.
    pub(crate) async fn everything_once(&self) {
        let email = "carol@example.org";
        let (status, body) =
            self.api("/api/v1/auth/register", &json!({"email": email, "password": PASSWORD})).await;
        assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("confirmation_sent")));
        assert_eq!(
            self.try_login_api(email, PASSWORD, None).await.0,
            StatusCode::UNAUTHORIZED,
            "not confirmed"
        );
        let link = self.link("/account/confirm").await;
        let mut browser = self.browser();
        assert_eq!(browser.get(&link).await.status, StatusCode::OK);
        assert_eq!(browser.get(&link).await.status, StatusCode::OK, "looking at a link uses nothing up");
        assert_eq!(browser.follow(&link, &[("password", PASSWORD)]).await.status, StatusCode::OK);
        assert_eq!(browser.follow(&link, &[("password", PASSWORD)]).await.status, StatusCode::CONFLICT);
        assert_eq!(browser.sign_in(email, PASSWORD).await.location.as_deref(), Some("/account"));
        let page = browser.get("/account").await;
        assert!(page.body.contains(email) && page.body.contains("customer"));
        let (secret, codes) = self.enrol_with(&mut browser, PASSWORD).await;
        assert_eq!((secret.len(), codes.len()), (20, 10));
        browser.post("/account/sign-out", &[]).await;
        assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
        assert_eq!(browser.sign_in(email, PASSWORD).await.location.as_deref(), Some("/account/code"));
        assert_eq!(browser.form("/account/code", &[("code", &codes[0])]).await.status, StatusCode::SEE_OTHER);
        assert!(browser.get("/account").await.body.contains("9 recovery codes"));
        self.clock.advance(60);
        let remove = [("password", PASSWORD), ("code", &self.code(&secret, 0))];
        let removed =
            browser.post_from("/account/second-factor", "/account/second-factor/remove", &remove).await;
        assert_eq!(removed.location.as_deref(), Some("/account"));
        let tokens = self.login_api(email, PASSWORD, None).await;
        let wrong = browser.form("/account/delete", &[("password", "wrong password"), ("code", "")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let gone = browser.form("/account/delete", &[("password", PASSWORD), ("code", "")]).await;
        assert_eq!(gone.status, StatusCode::SEE_OTHER);
        assert_eq!(self.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(self.try_login_api(email, PASSWORD, None).await.0, StatusCode::UNAUTHORIZED);
    }

    /// As an older program would have stored it.
    pub(crate) async fn store_with_less_cost(&self, email: &str, password: &str) {
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let hash =
            argon2.hash_password_with_salt(password.as_bytes(), b"a salt of 16 by.").unwrap().to_string();
        let sql = "UPDATE accounts SET password = $1 WHERE address_key = $2";
        self.store.write(vec![Statement::new(sql, [hash.into(), email.into()]).expecting(1)]).await.unwrap();
    }

    pub(crate) async fn stored_password(&self, email: &str) -> String {
        let query = Statement::new("SELECT password FROM accounts WHERE address_key = $1", [email.into()]);
        self.store.read(query).await.unwrap()[0].text(0).unwrap().to_owned()
    }

    // The second factor.

    pub(crate) async fn enrol(&self, email: &str, password: &str) -> (Vec<u8>, Vec<String>) {
        let mut browser = self.browser();
        browser.sign_in(email, password).await;
        self.enrol_with(&mut browser, password).await
    }

    pub(crate) async fn enrol_with(&self, browser: &mut Browser, password: &str) -> (Vec<u8>, Vec<String>) {
        let here = "/account/second-factor";
        let begun = browser.post_from(here, "/account/second-factor/begin", &[("password", password)]).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER);
        let picture = browser.get("/account/second-factor/code.svg").await;
        assert!(picture.body.contains("<svg") && !picture.body.contains("style="));
        let page = browser.get(here).await.body;
        let text = page.split("<code>").nth(1).unwrap().split("</code>").next().unwrap().replace(' ', "");
        let secret = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
        let code = self.code(&secret, 0);
        let wrong = browser.post_from(here, "/account/second-factor/finish", &[("code", "12345")]).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        let done = browser.post_from(here, "/account/second-factor/finish", &[("code", &code)]).await;
        assert_eq!(done.status, StatusCode::OK);
        let codes =
            done.body.split("<code>").skip(1).map(|part| part.split("</code>").next().unwrap().to_owned());
        (secret, codes.collect())
    }

    /// RFC 6238, written a second time and from the text, so that a fault of the server's is not repeated.
    pub(crate) fn code(&self, secret: &[u8], steps: i64) -> String {
        let counter = u64::try_from(self.clock.now() / 30 + steps).unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
        let tag = aws_lc_rs::hmac::sign(&key, &counter.to_be_bytes());
        let tag = tag.as_ref();
        let offset = (tag[19] & 0xf) as usize;
        let binary =
            u32::from_be_bytes([tag[offset] & 0x7f, tag[offset + 1], tag[offset + 2], tag[offset + 3]]);
        format!("{:06}", binary % 1_000_000)
    }

    // The API.

    pub(crate) async fn api(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.browser().json(path, body).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    pub(crate) async fn try_login_api(
        &self,
        email: &str,
        password: &str,
        code: Option<&str>,
    ) -> (StatusCode, Value) {
        let mut body = json!({"email": email, "password": password});
        if let Some(code) = code {
            body["code"] = code.into();
        }
        self.api("/api/v1/auth/login", &body).await
    }

    pub(crate) async fn login_api(&self, email: &str, password: &str, code: Option<&str>) -> Value {
        let (status, tokens) = self.try_login_api(email, password, code).await;
        assert_eq!(status, StatusCode::OK);
        tokens
    }

    pub(crate) async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        self.api("/api/v1/auth/refresh", &json!({"refresh_token": tokens["refresh_token"]})).await
    }

    pub(crate) async fn account_of(&self, tokens: &Value) -> (StatusCode, Value) {
        let mut browser = self.browser();
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        let answer = browser.get_with("/api/v1/account", &[("authorization", bearer.as_str())]).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    pub(crate) async fn id_of(&self, tokens: &Value) -> AccountId {
        let id = self.account_of(tokens).await.1["id"].as_str().unwrap().to_owned();
        AccountId(data_encoding::HEXLOWER.decode(id.as_bytes()).unwrap().try_into().unwrap())
    }

    pub(crate) async fn couriers_share_the_work(&self, email: &str) {
        for _ in 0..3 {
            self.register(email, PASSWORD).await;
        }
        let post = Arc::new(Unsteady::default());
        let courier = || Courier::new(Arc::clone(&self.store), Arc::clone(&post) as _, self.clock.clone());
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let courier = courier();
                tokio::spawn(async move { courier.deliver_due().await.unwrap() })
            })
            .collect();
        let mut delivered = 0;
        for task in tasks {
            delivered += task.await.unwrap();
        }
        // The first try of each letter failed, and it waits.
        assert_eq!((delivered, post.seen.lock().unwrap().len()), (0, 3));
        assert_eq!(courier().deliver_due().await.unwrap(), 0);
        self.clock.advance(121);
        assert_eq!(courier().deliver_due().await.unwrap(), 3);
        self.clock.advance(1_000_000);
        assert_eq!(courier().deliver_due().await.unwrap(), 0, "what was delivered is gone");
        let seen = post.seen.lock().unwrap();
        assert!(seen.values().all(|tries| *tries == 2), "{}", seen.len());
    }
}

/// An Ed25519 key of a seed, in PKCS#8 version 1 (RFC 8410, section 7).
fn signer(seed: &[u8; 32]) -> Signer {
    let head =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    Signer::new("localhost/audit", &[&head[..], seed].concat()).unwrap()
}

/// A post that refuses every letter the first time.
#[derive(Default)]
struct Unsteady {
    seen: Mutex<BTreeMap<String, usize>>,
    calls: AtomicUsize,
}

impl Post for Unsteady {
    fn deliver<'a>(&'a self, _: &'a Letter, id: &'a str) -> Later<'a, ()> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let mut seen = self.seen.lock().unwrap();
            let tries = seen.entry(id.to_owned()).or_default();
            *tries += 1;
            if *tries == 1 { Err(Error::Busy("letters")) } else { Ok(()) }
        })
    }
}

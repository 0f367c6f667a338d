//! A browser: Debian's Chromium by W3C WebDriver over plain HTTP, and its own protocol where WebDriver has no word.

use std::{
    cell::Cell,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, geteuid},
};
use serde_json::{Value, json};

use crate::{tools, validator::Pages};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own, which ends with it.
pub(crate) struct Browser {
    child: Child,
    port: u16,
    session: String,
    origin: String,
    axe: String,
    scripts: Cell<bool>,
    pages: Pages,
    _home: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn start(origin: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home.path()).env("TMPDIR", home.path());
        // A group of its own: what it starts ends with it.
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn();
        let mut child =
            spawned.expect("chromedriver is missing: install chromium-driver, or run tests/setup");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = |line: String| line.rsplit_once("successfully on port ")?.1.trim_matches('.').parse().ok();
        let port = lines.find_map(port).expect("chromedriver did not say its port");
        let axe = fs::read_to_string(tools::path("axe-core-4.14.1/axe.min.js")).unwrap();
        let (session, scripts, pages) = (String::new(), Cell::new(true), Pages::new());
        let mut browser =
            Self { child, port, session, origin: origin.into(), axe, scripts, pages, _home: home };
        let mut arguments =
            vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        if geteuid().is_root() {
            // Chromium's sandbox refuses root.
            arguments.push("--no-sandbox");
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let made = browser.http("POST", "/session", Some(&wanted));
        let made = made
            .unwrap_or_else(|problem| panic!("no browser; is Debian's package chromium there? {problem}"));
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    fn http(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|error| error.to_string())?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => {
                Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default()))
            }
            None => Ok(answer["value"].clone()),
        }
    }

    fn get(&self, what: &str) -> Value {
        self.http("GET", &format!("/session/{}/{what}", self.session), None).unwrap()
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.try_post(what, body).unwrap_or_else(|problem| panic!("{what}: {problem} at {}", self.url()))
    }

    fn try_post(&self, what: &str, body: &Value) -> Result<Value, String> {
        self.http("POST", &format!("/session/{}/{what}", self.session), Some(body))
    }

    pub(crate) fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Opens a path of the site, or a whole address.
    pub(crate) fn go(&self, to: &str) {
        let url = if to.starts_with('/') { format!("{}{to}", self.origin) } else { to.to_owned() };
        self.post("url", &json!({ "url": url }));
    }

    /// Path and query of the page, when it is one of the site.
    pub(crate) fn url(&self) -> String {
        let url = self.get("url").as_str().unwrap().to_owned();
        url.strip_prefix(&self.origin).map_or(url.clone(), str::to_owned)
    }

    pub(crate) fn title(&self) -> String {
        self.get("title").as_str().unwrap().to_owned()
    }

    fn find(&self, css: &str) -> String {
        let found = self.post("element", &json!({"using": "css selector", "value": css}));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) fn count(&self, css: &str) -> usize {
        self.post("elements", &json!({"using": "css selector", "value": css})).as_array().unwrap().len()
    }

    pub(crate) fn text(&self, css: &str) -> String {
        self.get(&format!("element/{}/text", self.find(css))).as_str().unwrap().to_owned()
    }

    pub(crate) fn texts(&self, css: &str) -> Vec<String> {
        let found = self.post("elements", &json!({"using": "css selector", "value": css}));
        let text =
            |element: &Value| self.get(&format!("element/{}/text", element[ELEMENT].as_str().unwrap()));
        found.as_array().unwrap().iter().map(|one| text(one).as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn property(&self, css: &str, name: &str) -> Value {
        self.get(&format!("element/{}/property/{name}", self.find(css)))
    }

    pub(crate) fn click(&self, css: &str) {
        self.post(&format!("element/{}/click", self.find(css)), &json!({}));
    }

    /// Clicks what leads to another page.
    pub(crate) fn follow(&self, css: &str) {
        self.leave(|| self.click(css));
    }

    /// Does what leads to another page, and waits for that: the driver's own waiting misses some that begin late.
    pub(crate) fn leave(&self, act: impl FnOnce()) {
        let before = self.find("html");
        act();
        let begun = Instant::now();
        let path = format!("/session/{}/element/{before}/name", self.session);
        while self.http("GET", &path, None).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing led away from {}", self.url());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn fill(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.post(&format!("element/{element}/clear"), &json!({}));
        if !text.is_empty() {
            self.post(&format!("element/{element}/value"), &json!({ "text": text }));
        }
    }

    /// Fills in the form of the page and sends it.
    pub(crate) fn send(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.fill(&format!("main [name={name}]"), value);
        }
        self.follow("main form.form [type=submit]");
    }

    /// Presses a key as WebDriver numbers them.
    pub(crate) fn press(&self, key: char) {
        let steps = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": steps}]}));
    }

    /// A property of the element that has the focus.
    pub(crate) fn focused(&self, property: &str) -> String {
        let element = self.get("element/active")[ELEMENT].as_str().unwrap().to_owned();
        self.get(&format!("element/{element}/property/{property}")).as_str().unwrap_or_default().to_owned()
    }

    /// An authenticator without a device, which verifies whoever is there (WebAuthn, section 11.3); its number.
    pub(crate) fn authenticator(&self) -> String {
        let kind = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true});
        self.post("webauthn/authenticator", &kind).as_str().unwrap().to_owned()
    }

    /// What an authenticator holds.
    pub(crate) fn credentials(&self, authenticator: &str) -> Vec<Value> {
        self.get(&format!("webauthn/authenticator/{authenticator}/credentials")).as_array().unwrap().clone()
    }

    /// Says whether it knows again whoever is there.
    pub(crate) fn verified(&self, authenticator: &str, verified: bool) {
        self.post(
            &format!("webauthn/authenticator/{authenticator}/uv"),
            &json!({ "isUserVerified": verified }),
        );
    }

    /// Waits for a text that a script writes.
    pub(crate) fn wait_for(&self, css: &str, text: &str) {
        let begun = Instant::now();
        while !self.text(css).contains(text) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{css} says {:?}", self.text(css));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Allows or forbids those of pages.
    pub(crate) fn scripts(&self, allowed: bool) {
        self.chromium("Emulation.setScriptExecutionDisabled", &json!({ "value": !allowed }));
        self.scripts.set(allowed);
    }

    /// Keeps the page as it came from the site, for [`Self::mistakes`].
    pub(crate) fn keep(&self) {
        let log = self.post("se/log", &json!({"type": "performance"}));
        let events = log.as_array().unwrap().iter().rev();
        let mut events = events.map(|event| {
            serde_json::from_str::<Value>(event["message"].as_str().unwrap()).unwrap()["message"].take()
        });
        let is_page = |event: &Value| {
            event["method"] == "Network.responseReceived" && event["params"]["type"] == "Document"
        };
        let page = events.find(is_page).expect("a page came");
        let content =
            self.chromium("Network.getResponseBody", &json!({"requestId": page["params"]["requestId"]}));
        assert_eq!(content["base64Encoded"], false);
        self.pages.keep(&self.url(), content["body"].as_str().unwrap());
    }

    /// What the validator finds in the pages that were kept.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        self.pages.mistakes()
    }

    /// What the console said since the last time that is worse than a note.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "browser"}));
        let bad = |entry: &&Value| ["SEVERE", "WARNING"].contains(&entry["level"].as_str().unwrap());
        let entries = entries.as_array().unwrap().iter().filter(bad);
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn width(&self, pixels: u32) {
        let size = json!({"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 600});
        self.chromium("Emulation.setDeviceMetricsOverride", &size);
    }

    fn scheme(&self, name: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": name});
        self.chromium("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Writes the whole page as a picture, in both schemes and on a small screen.
    pub(crate) fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/aegis/screens");
        fs::create_dir_all(&folder).unwrap();
        for (kind, scheme, width) in
            [("light", "light", 1280), ("dark", "dark", 1280), ("small", "light", 390)]
        {
            self.scheme(scheme);
            self.width(width);
            let shot = json!({"captureBeyondViewport": true});
            let picture = self.chromium("Page.captureScreenshot", &shot)["data"].as_str().unwrap().to_owned();
            let picture = data_encoding::BASE64.decode(picture.as_bytes()).unwrap();
            fs::write(folder.join(format!("{name}-{kind}.png")), picture).unwrap();
        }
        self.width(1280);
    }

    /// What axe-core finds in both schemes.
    pub(crate) fn findings(&self) -> Vec<Value> {
        let allowed = self.scripts.get();
        self.scripts(true);
        self.run(&self.axe);
        let script = "const done = arguments[1]; axe.run(arguments[0]).then(found => done(found.violations.map(one => \
                      one.id + ': ' + one.nodes.map(node => node.html.slice(0, 120)).join(' | '))))";
        // What a page is differs between the schemes in its colours alone.
        let all = [("light", json!({})), ("dark", json!({"runOnly": ["color-contrast"]}))];
        let found = all.map(|(scheme, options)| {
            self.scheme(scheme);
            self.post("execute/async", &json!({"script": script, "args": [options]}))
                .as_array()
                .unwrap()
                .clone()
        });
        self.scripts(allowed);
        found.concat()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.http("DELETE", &format!("/session/{}", self.session), None);
        }
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

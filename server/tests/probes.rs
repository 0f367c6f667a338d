//! Programs that look for faults of any server, let loose on a running one: schemathesis on the API by its description,
//! wapiti on the site, as a stranger and as somebody who is signed in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "other suites come from elsewhere and try twice")]
#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "other suites serve without settings of their own")]
#[path = "support/program.rs"]
mod program;
#[path = "support/tools.rs"]
mod tools;

use std::{fs, process::Command};

use client::Client;
use nix::sys::signal::Signal;
use program::{Place, Served};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse on a hill";
/// What wapiti tries. Left out are: what asks machines elsewhere (`ssrf`, `log4shell`, `xxe`); what is for other programs; lists
/// of names, which only meet 404s; `csrf`, which knows tokens by names that ours has not, and `cookieflags`, which wants
/// `Secure` of a site without TLS: the tests of accounts look for both; and `ldap`, which takes a page that differs with its
/// parameter for an answer of a directory.
const MODULES: &str =
    "crlf,csp,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,upload,xss";

/// A password that everybody tries first is right by the description, and refused all the same.
const SCHEMATHESIS: &str = r#"
[[operations]]
include-path = "/api/v1/auth/register"
[operations.checks.positive_data_acceptance]
expected-statuses = ["202", "422", "429"]
"#;

/// A server whose limits of requests do not hide what is looked for.
fn serve(place: &Place) -> Served {
    let limits = ["api_per_hour", "accounts_per_minute", "connections_per_address"];
    let mut command = place.command(&["serve"]);
    for limit in limits {
        command.args(["--set", &format!("limits.{limit}=1000000")]);
    }
    Served::start(command)
}

/// It lives, without a panic or a fault of its own, and its audit log is good.
fn ends_well(place: &Place, served: Served) {
    let metrics = Client::new(served.watch, "").get("/metrics").body;
    let requests = || metrics.lines().filter(|line| line.starts_with("aegis_http_requests_total"));
    assert!(requests().any(|line| line.contains("class=\"4xx\"")), "{metrics}");
    let faults = requests().filter(|line| line.contains("class=\"5xx\"") && !line.ends_with(" 0"));
    assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));
    assert!(place.run(&["audit", "verify"]).status.success());
}

#[test]
#[ignore = "schemathesis is fetched; make test-all"]
fn schemathesis_finds_nothing() {
    let place = Place::new();
    let served = serve(&place);
    let mut ann = Client::new(served.public, "192.0.2.1");
    ann.make_account(&place.path("mail"), ANN, PASSWORD);
    let credentials = serde_json::json!({"email": ANN, "password": PASSWORD});
    let tokens = ann.json("/api/v1/auth/login", &credentials).json();
    fs::write(place.path("schemathesis.toml"), SCHEMATHESIS).unwrap();
    let mut command = Command::new(tools::path("schemathesis-4.32.5/bin/schemathesis"));
    command.args(["run", "--checks=all", "--no-color", "--max-examples=100", "--seed=1", "--header"]);
    command.arg(format!("Authorization: Bearer {}", tokens["access_token"].as_str().unwrap()));
    command.arg(format!("http://{}/api/v1/openapi.json", served.public)).current_dir(place.directory.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    // A run that asked nothing would find nothing.
    let number = |before: &str| {
        let rest = said.split_once(before).unwrap().1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<usize>().unwrap()
    };
    assert!(number("Tested:") >= 15 && number("Test cases:") > 600, "{said}");
    assert_eq!(
        ann.json("/api/v1/auth/login", &credentials).status,
        200,
        "somebody else's attempts lock nobody out"
    );
    ends_well(&place, served);
}

#[test]
#[ignore = "wapiti is fetched, and tries for a minute; make test-all"]
fn wapiti_finds_nothing() {
    let place = Place::new();
    let served = serve(&place);
    let mut ann = Client::new(served.public, "192.0.2.1");
    ann.make_account(&place.path("mail"), ANN, PASSWORD);
    let fields = [("email", ANN), ("password", PASSWORD)];
    assert_eq!(ann.post_from("/account/sign-in", "/account/sign-in", &fields).status, 303);
    for (name, cookies) in [("stranger", String::new()), ("ann", ann.cookies())] {
        scan(&place, &served, name, &cookies);
    }
    assert_eq!(ann.get("/account").status, 200, "the scan ended where it was signed in");
    ends_well(&place, served);
}

fn scan(place: &Place, served: &Served, name: &str, cookies: &str) {
    // Pages of accounts lead from a number to the site's own name.
    let origin = format!("http://localhost:{}/", served.public.port());
    let report = place.path(&format!("{name}.json"));
    let mut command = Command::new(tools::path("wapiti3-3.2.3/bin/wapiti"));
    command
        .args(["-u", &origin, "-m", MODULES, "--no-bugreport", "-v", "0", "-f", "json", "-o"])
        .arg(&report);
    command.args(["--max-scan-time", "900", "--store-session"]).arg(place.path("session"));
    command.arg("--store-config").arg(place.path("wapiti")).env("HOME", place.directory.path());
    if !cookies.is_empty() {
        command.args(["-C", cookies]);
        // What would end the session.
        for path in
            ["account/sign-out", "account/sign-out-everywhere", "account/sessions/end", "account/delete"]
        {
            command.args(["-x", &format!("{origin}{path}")]);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    // A scan that saw nothing would find nothing.
    let pages = report["infos"]["crawled_pages_nbr"].as_u64().unwrap();
    assert!(pages > 30, "{name} saw {pages} pages: {}", report["infos"]);
    for kind in ["vulnerabilities", "anomalies"] {
        let found = report[kind].as_object().unwrap().iter();
        let found: Vec<_> = found.filter(|(_, list)| !list.as_array().unwrap().is_empty()).collect();
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}

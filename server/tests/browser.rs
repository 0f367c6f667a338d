//! The site as a person meets it: a real browser, with a keyboard, and without scripts.
//!
//! Pictures of some pages are written to `target/aegis/screens`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "browser/demo.rs"]
mod demo;
#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/passkeys.rs"]
mod passkeys;
#[path = "support/tools.rs"]
mod tools;
#[path = "browser/validator.rs"]
mod validator;

use std::time::{SystemTime, UNIX_EPOCH};

use demo::Demo;
use driver::Browser;

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse on a hill";
const OTHER: &str = "another long password";
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// One after the other in one browser: starting one takes longer than each of them.
#[test]
fn the_site_in_a_browser() {
    let demo = Demo::start();
    let browser = Browser::start(&demo.origin);
    browser.width(1280);
    complaints_are_seen(&browser);
    every_public_page(&browser);
    keyboard(&browser);
    passkeys::passkeys(&browser, &demo);
    browser.scripts(false);
    calculator(&browser);
    registering(&browser, &demo);
    signing_in(&browser);
    let (secret, recovery) = second_factor(&browser);
    coming_back(&browser, &secret);
    sessions_and_password(&browser);
    reset(&browser, &demo, &recovery[0]);
    end_of_the_account(&browser, &recovery[1]);
    owner(&browser, &demo);
    assert_eq!(browser.mistakes(), [""; 0]);
}

/// What every page must be, whatever is on it.
fn check(browser: &Browser) {
    let at = browser.url();
    assert_eq!(browser.count("h1"), 1, "{at}");
    assert!(browser.title().ends_with(" - Aegis OS"), "{at}");
    assert!(browser.count("header.bar a.brand") == 1 && browser.count("footer.foot") == 1, "{at}");
    browser.width(390);
    let wide = browser.property("html", "scrollWidth").as_i64().unwrap();
    assert!(wide <= 390, "{at} is {wide} pixels wide on a small screen");
    browser.width(1280);
    assert_eq!(browser.findings(), [""; 0], "{at}");
    browser.keep();
}

/// Without this, a browser that logs nothing would pass everything.
fn complaints_are_seen(browser: &Browser) {
    browser.go("/faq");
    assert_eq!(browser.complaints(), [""; 0]);
    browser.run("const one = document.createElement('img'); one.src = 'data:,'; document.body.append(one)");
    let complaints = browser.complaints();
    assert!(complaints.iter().any(|text| text.contains("Content Security Policy")), "{complaints:?}");
    assert!(!browser.findings().is_empty(), "axe-core misses a picture without a text");
}

fn every_public_page(browser: &Browser) {
    browser.go("/sitemap.xml");
    let paths = browser.run(
        "return [...document.getElementsByTagName('loc')].map(one => new URL(one.textContent).pathname)",
    );
    let paths: Vec<_> =
        paths.as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect();
    assert!(paths.len() > 20, "{paths:?}");
    browser.complaints();
    let others =
        ["/status", "/account/sign-in", "/account/register", "/account/reset", "/account/confirm?token=x"];
    for path in paths.iter().map(String::as_str).chain(others) {
        browser.go(path);
        assert_eq!(browser.url(), path);
        check(browser);
        assert_eq!(browser.complaints(), [""; 0], "{path}");
    }
    for (path, name) in [
        ("/", "home"),
        ("/pricing?users=20", "pricing"),
        ("/editions/gamer", "edition"),
        ("/status", "status"),
    ] {
        browser.go(path);
        browser.picture(name);
    }
    browser.go("/account/no-such-page");
    assert_eq!(browser.text("h1"), "There is nothing at this address");
    browser.keep();
    browser.complaints();
}

fn keyboard(browser: &Browser) {
    for path in ["/", "/account/sign-in"] {
        browser.go(path);
        browser.press(TAB);
        assert_eq!(browser.focused("className"), "skip", "{path}");
        browser.press(ENTER);
        assert_eq!(browser.focused("id"), "main", "{path}");
    }
    // From the content on, the next one is the form.
    browser.press(TAB);
    assert_eq!(browser.focused("id"), "email");
    for key in "nobody@example.org".chars().chain([TAB]).chain(PASSWORD.chars()) {
        browser.press(key);
    }
    browser.leave(|| browser.press(ENTER));
    assert_eq!(browser.text(".note a"), "The address or the password is wrong");
    browser.complaints();
}

fn calculator(browser: &Browser) {
    browser.go("/pricing");
    browser.click("input[value=lifetime]");
    browser.send(&[("users", "20")]);
    assert_eq!(browser.text("table caption"), "20 computers, for ever");
    assert!(browser.text("table tbody").contains('$'));
    browser.send(&[("users", "none")]);
    assert_eq!(browser.count("#users[aria-invalid=true]"), 1);
    assert_eq!(browser.count(".note a[href='#users']"), 1);
    browser.complaints();
}

fn registering(browser: &Browser, demo: &Demo) {
    browser.go("/account/register");
    browser.send(&[("email", ANN), ("password", "short")]);
    assert!(browser.title().starts_with("Error: "));
    assert_eq!(browser.count("#password[aria-invalid=true]"), 1);
    assert_eq!(browser.property("#email", "value"), ANN, "what was right stays");
    check(browser);
    browser.picture("mistake");
    browser.send(&[("password", PASSWORD)]);
    assert_eq!(browser.text("h1"), "Look into your mail");
    check(browser);
    browser.go(&demo.link(ANN, "/account/confirm"));
    browser.send(&[("password", PASSWORD)]);
    check(browser);
    browser.follow("main .button");
    assert_eq!(browser.url(), "/account/sign-in");
    browser.picture("sign-in");
}

fn signing_in(browser: &Browser) {
    browser.go("/account/sessions");
    assert_eq!(browser.url(), "/account/sign-in?next=/account/sessions");
    browser.send(&[("email", ANN), ("password", OTHER)]);
    assert_eq!(browser.text(".note a"), "The address or the password is wrong");
    check(browser);
    browser.send(&[("password", PASSWORD)]);
    assert_eq!(browser.url(), "/account/sessions", "where it was wanted to go");
    check(browser);
    browser.go("/account");
    assert!(browser.text("main").contains(ANN));
    assert_eq!(browser.text(".bar [aria-current=page]"), "Account");
    check(browser);
    browser.picture("account");
}

/// The secret, and the recovery codes.
fn second_factor(browser: &Browser) -> (Vec<u8>, Vec<String>) {
    browser.go("/account/second-factor");
    check(browser);
    browser.complaints();
    browser.send(&[("password", PASSWORD)]);
    assert!(browser.property("main img", "naturalWidth").as_i64().unwrap() > 100, "the picture is not shown");
    assert_eq!(browser.complaints(), [""; 0]);
    check(browser);
    browser.picture("second-factor");
    let text = browser.text("main p code").replace(' ', "");
    let secret = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
    browser.send(&[("code", "12345")]);
    assert_eq!(browser.count("#code[aria-invalid=true]"), 1);
    check(browser);
    browser.send(&[("code", &code(&secret, 0))]);
    assert_eq!(browser.text("h1"), "Your recovery codes");
    check(browser);
    let recovery = browser.texts(".codes code");
    assert_eq!(recovery.len(), 10);
    (secret, recovery)
}

/// RFC 6238, so many steps from now.
fn code(secret: &[u8], steps: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = aws_lc_rs::hmac::sign(&key, &(now / 30 + steps).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

fn coming_back(browser: &Browser, secret: &[u8]) {
    sign_out(browser);
    browser.go("/account");
    assert_eq!(browser.url(), "/account/sign-in");
    browser.go("/account/sign-in?next=/pricing%3Fusers%3D3");
    browser.send(&[("email", ANN), ("password", PASSWORD)]);
    assert_eq!(browser.url(), "/account/code?next=/pricing%3Fusers%3D3");
    check(browser);
    browser.send(&[("code", "000000")]);
    assert_eq!(browser.count("#code[aria-invalid=true]"), 1);
    // The code of this half minute was used when the factor was set up.
    browser.send(&[("code", &code(secret, 1))]);
    assert_eq!(browser.url(), "/pricing?users=3", "{}", browser.text("main"));
}

fn sign_out(browser: &Browser) {
    browser.go("/account");
    browser.send(&[]);
    assert_eq!(browser.url(), "/account/sign-in");
}

fn sessions_and_password(browser: &Browser) {
    browser.go("/account/password");
    check(browser);
    browser.send(&[("password", OTHER), ("new_password", OTHER)]);
    assert_eq!(browser.count("#password[aria-invalid=true]"), 1);
    browser.send(&[("password", PASSWORD), ("new_password", OTHER)]);
    assert_eq!(browser.url(), "/account");
    for path in ["/account/address", "/account/delete", "/account/second-factor"] {
        browser.go(path);
        check(browser);
    }
    browser.go("/account/sessions");
    assert_eq!(browser.count(".sessions li"), 1, "the change ended all others");
    assert!(browser.text(".sessions li").starts_with("This browser."));
    browser.picture("sessions");
    browser.follow(".sessions [type=submit]");
    assert_eq!(browser.url(), "/account/sign-in?next=/account/sessions");
}

fn reset(browser: &Browser, demo: &Demo, recovery: &str) {
    browser.go("/account/reset");
    browser.send(&[("email", ANN)]);
    assert_eq!(browser.text("h1"), "Look into your mail");
    let link = demo.link(ANN, "/account/reset/new");
    browser.go(&link);
    check(browser);
    browser.send(&[("new_password", PASSWORD)]);
    assert_eq!(browser.text("h1"), "Your password is set");
    browser.go(&link);
    browser.send(&[("new_password", OTHER)]);
    assert!(browser.text(".note").contains("used already"), "a link works once");
    check(browser);
    // What others write into a link leads nowhere else.
    for evil in ["//evil.example", "/%5Cevil.example", "https:evil.example", "/%09/evil.example"] {
        browser.go(&format!("/account/sign-in?next={evil}"));
        assert_eq!(browser.count("[name=next]"), 0, "{evil}");
    }
    browser.send(&[("email", ANN), ("password", PASSWORD)]);
    browser.send(&[("code", recovery)]);
    assert_eq!(browser.url(), "/account");
    assert!(browser.text("main").contains("9 recovery codes"));
}

fn end_of_the_account(browser: &Browser, recovery: &str) {
    browser.go("/account/delete");
    browser.send(&[("password", PASSWORD), ("code", recovery)]);
    assert_eq!(browser.url(), "/account/sign-in");
    browser.send(&[("email", ANN), ("password", PASSWORD)]);
    assert_eq!(browser.text(".note a"), "The address or the password is wrong");
}

fn owner(browser: &Browser, demo: &Demo) {
    browser.go("/account/sign-in");
    browser.send(&[("email", &demo.owner), ("password", &demo.once)]);
    assert_eq!(browser.url(), "/account/password");
    browser.send(&[("password", &demo.once), ("new_password", OTHER)]);
    assert_eq!(browser.url(), "/account/second-factor");
    browser.go("/account/sessions");
    assert_eq!(browser.url(), "/account/second-factor", "nothing before the second factor");
}

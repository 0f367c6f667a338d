//! Passkeys with Chromium's own authenticator, which shares no code with the server.

use crate::{Browser, Demo, PASSWORD, check, sign_out};

const BEA: &str = "bea@example.org";
const PASSKEYS: &str = "/account/passkeys";
/// The button of the form that a passkey fills in.
const USE: &str = ".passkey [type=submit]";
const STATUS: &str = ".passkey [role=status]";

/// Scripts are allowed when this begins, and when it ends.
pub(crate) fn passkeys(browser: &Browser, demo: &Demo) {
    registered(browser, demo);
    without_scripts(browser);
    let authenticator = browser.authenticator();
    added(browser, &authenticator);
    instead_of_a_password(browser, &authenticator);
    after_the_password(browser);
    removed(browser, &authenticator);
}

fn registered(browser: &Browser, demo: &Demo) {
    browser.go("/account/register");
    browser.send(&[("email", BEA), ("password", PASSWORD)]);
    browser.go(&demo.link(BEA, "/account/confirm"));
    browser.send(&[("password", PASSWORD)]);
}

/// The password is there, and the page says what a passkey needs.
fn without_scripts(browser: &Browser) {
    browser.scripts(false);
    browser.go("/account/sign-in");
    assert!(browser.text(".passkey").contains("runs scripts"));
    assert_eq!(browser.count(".passkey form[hidden]"), 1);
    browser.scripts(true);
    browser.go("/account/sign-in");
    assert_eq!(browser.count(".passkey form[hidden]"), 0);
    assert_eq!(browser.text(".passkey .needs"), "");
    check(browser);
    browser.picture("sign-in-passkey");
    browser.send(&[("email", BEA), ("password", PASSWORD)]);
}

fn added(browser: &Browser, authenticator: &str) {
    browser.go("/account");
    browser.follow("main a[href='/account/passkeys']");
    check(browser);
    assert_eq!(browser.complaints(), [""; 0]);
    browser.fill("#name", "Bea's laptop");
    browser.fill("#password", "a wrong password");
    browser.click(USE);
    browser.wait_for(STATUS, "The password is wrong.");
    assert_eq!(browser.credentials(authenticator).len(), 0, "none is made for a wrong password");
    // What the server refused is in the console too.
    browser.complaints();
    browser.fill("#password", PASSWORD);
    browser.follow(USE);
    assert_eq!(browser.text("h1"), "Your recovery codes");
    assert_eq!(browser.count(".codes code"), 10);
    check(browser);
    let credentials = browser.credentials(authenticator);
    assert_eq!(credentials.len(), 1);
    assert_eq!(
        (&credentials[0]["rpId"], &credentials[0]["isResidentCredential"]),
        (&"localhost".into(), &true.into())
    );
    browser.go(PASSKEYS);
    assert!(browser.text(".sessions li").contains("Bea's laptop"));
    assert!(browser.text(".sessions li").contains("never used"));
    check(browser);
    browser.picture("passkeys");
    // The same device does not make a second one.
    browser.fill("#name", "Again");
    browser.fill("#password", PASSWORD);
    browser.click(USE);
    browser.wait_for(STATUS, "has a passkey for your account already");
}

fn instead_of_a_password(browser: &Browser, authenticator: &str) {
    sign_out(browser);
    browser.go("/account/sign-in?next=/account/passkeys");
    browser.verified(authenticator, false);
    browser.click(USE);
    browser.wait_for(STATUS, "No passkey was used");
    browser.verified(authenticator, true);
    browser.follow(USE);
    assert_eq!(browser.url(), PASSKEYS, "{}", browser.text("main"));
    assert!(browser.text(".sessions li").contains("last used"));
    assert_eq!(browser.complaints(), [""; 0]);
}

fn after_the_password(browser: &Browser) {
    sign_out(browser);
    browser.send(&[("email", BEA), ("password", PASSWORD)]);
    assert_eq!(browser.url(), "/account/code");
    check(browser);
    browser.picture("code-passkey");
    browser.follow(USE);
    assert_eq!(browser.url(), "/account", "{}", browser.text("main"));
    assert_eq!(browser.complaints(), [""; 0]);
}

fn removed(browser: &Browser, authenticator: &str) {
    browser.go(PASSKEYS);
    browser.follow(".sessions a");
    assert_eq!(browser.text("h1"), "Bea's laptop");
    check(browser);
    browser.send(&[("name", "Old laptop")]);
    assert!(browser.text(".sessions li").contains("Old laptop"));
    browser.follow(".sessions a");
    browser.follow("main a[href^='/account/passkeys/remove']");
    check(browser);
    browser.picture("remove-passkey");
    browser.follow(USE);
    assert_eq!(
        (browser.url().as_str(), browser.count(".sessions li")),
        (PASSKEYS, 0),
        "{}",
        browser.text("main")
    );
    sign_out(browser);
    // The device still offers it, and it signs nobody in.
    assert_eq!(browser.credentials(authenticator).len(), 1);
    browser.follow(USE);
    assert!(browser.text(".note").contains("The passkey was not accepted"), "{}", browser.text("main"));
    check(browser);
    browser.complaints();
}

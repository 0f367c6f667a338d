//! `aegis-server account`.

use std::{
    io::{BufRead, Write as _},
    sync::Arc,
};

use aegis_core::{report::exit, time::UnixTime};
use clap::{Args, Subcommand};
use serde_json::json;

use super::say;
use crate::{
    Clock, Error, Result,
    accounts::{Act, Address, Denied, Overview},
    audit::Log,
    config::Config,
    secret::Secret,
    serve, store,
};

/// Helps a person with an account, beside a running server; each act is told to its owner by a letter
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Shows what is known of an account; that it was looked at is in the audit log
    Show {
        /// The e-mail address
        address: String,
    },
    /// Ends the waiting after wrong passwords and codes
    Unlock(Whose),
    /// Takes a lost second factor away and signs out everywhere
    ResetFactor(Whose),
    /// Signs out everywhere
    SignOut(Whose),
    /// Keeps everybody out of an account; what belongs to it stays
    Disable(Whose),
    /// Ends that
    Enable(Whose),
}

#[derive(Args)]
pub(super) struct Whose {
    /// The e-mail address
    address: String,
    /// The address again, in place of the question for it
    #[arg(long, value_name = "ADDRESS")]
    yes: Option<String>,
}

pub(super) async fn run(verb: Verb, config: &Config, json: bool) -> Result<u8> {
    let (act, Whose { address, yes }) = match verb {
        Verb::Show { address } => (None, Whose { address, yes: None }),
        Verb::Unlock(whose) => (Some(Act::Unlock), whose),
        Verb::ResetFactor(whose) => (Some(Act::ResetFactor), whose),
        Verb::SignOut(whose) => (Some(Act::SignOut), whose),
        Verb::Disable(whose) => (Some(Act::Disable), whose),
        Verb::Enable(whose) => (Some(Act::Enable), whose),
    };
    if let Some(act) = act {
        confirmed(act, &address, yes, std::io::stdin().lock())?;
    }
    let clock = Clock::default();
    let secret = Secret::read(&config.storage.secret)?;
    let store = store::open(&config.storage.database, &clock).await?;
    let log = Arc::new(Log::new(Arc::clone(&store), serve::signer(config, &secret)?));
    let accounts = serve::accounts(config, &secret, &store, &clock, &log)?;
    let account = accounts.account_of(&address).await.map_err(told)?.ok_or_else(nobody)?;
    let Some(act) = act else {
        let overview = accounts.overview(account).await.map_err(told)?;
        show(&overview.ok_or_else(nobody)?, json);
        return Ok(exit::OK);
    };
    if !accounts.operate(account, act).await.map_err(told)? {
        return Err(Error::Refused {
            problem: format!("there is nothing to do for {}", act.name()),
            hint: "look at it: aegis-server account show ADDRESS".into(),
        });
    }
    if json {
        say!("{}", json!({ "done": act.name(), "account": account.hex() }));
    } else {
        say!("{} is done for account {}; a letter tells its owner", act.name(), account.hex());
    }
    Ok(exit::OK)
}

/// Asks for the address again, unless it was given twice.
fn confirmed(act: Act, address: &str, yes: Option<String>, mut input: impl BufRead) -> Result<()> {
    let again = yes.map_or_else(
        || {
            eprint!("{}: type the address again: ", act.name());
            let _ = std::io::stderr().flush();
            let mut line = String::new();
            input.read_line(&mut line).map_err(Error::io("reading", "the answer"))?;
            Ok(line)
        },
        Ok,
    )?;
    let key = |text: &str| Address::parse(text.trim()).map(|address| address.key()).ok();
    if key(address).is_some() && key(address) == key(&again) {
        return Ok(());
    }
    Err(Error::Refused {
        problem: "the address that was typed again is not that of the account".into(),
        hint: "type it again, or give --yes ADDRESS; nothing was changed".into(),
    })
}

fn nobody() -> Error {
    Error::Config {
        place: "the address".into(),
        problem: "has no account".into(),
        hint: "ask its owner with which address they registered".into(),
    }
}

fn told(denied: Denied) -> Error {
    match denied {
        Denied::Failed(error) => error,
        other => Error::Config {
            place: "the address".into(),
            problem: format!("is not taken: {}", other.sentence()),
            hint: "give an address for mail".into(),
        },
    }
}

fn show(overview: &Overview, json: bool) {
    let Overview { account, address, role, created_at, factor_since, disabled_at, .. } = overview;
    let Overview { passkeys, recovery_codes, sessions, api_clients, waits, .. } = overview;
    let time = |at: i64| UnixTime(at).to_string();
    if json {
        let value = json!({
            "account": account.hex(), "address": address.as_str(), "role": role.name(),
            "created_at": time(*created_at), "factor_since": factor_since.map(time),
            "passkeys": passkeys, "recovery_codes": recovery_codes, "sessions": sessions, "api_clients": api_clients,
            "waits": waits, "disabled_at": disabled_at.map(time),
        });
        say!("{value}");
        return;
    }
    let factor = factor_since.map_or_else(|| "none".into(), |at| format!("since {}", time(at)));
    say!("account        {}", account.hex());
    say!("address        {}", address.as_str());
    say!("role           {}", role.name());
    say!("made           {}", time(*created_at));
    say!("authenticator  {factor}");
    say!("passkeys       {passkeys}");
    say!("recovery codes {recovery_codes}");
    say!("signed in      {sessions} browsers, {api_clients} clients of the API");
    say!("waits          {waits} networks or devices after failed attempts");
    say!("disabled       {}", disabled_at.map_or_else(|| "no".into(), |at| format!("since {}", time(at))));
}

#[cfg(test)]
mod tests {
    use aegis_core::report::Hint as _;

    use super::*;

    #[test]
    fn an_act_needs_the_address_twice() {
        let asked = |yes: Option<&str>, typed: &str| {
            confirmed(Act::Disable, "A@example.org", yes.map(str::to_owned), typed.as_bytes())
        };
        assert!(asked(None, "A@example.org\n").is_ok() && asked(Some("A@example.org"), "").is_ok());
        for (yes, typed) in [
            (None, ""),
            (None, "\n"),
            (None, "y\n"),
            (None, "b@example.org\n"),
            (Some("b@example.org"), "A@example.org\n"),
        ] {
            let error = asked(yes, typed).unwrap_err();
            assert_eq!(error.exit_code(), exit::REFUSED, "{yes:?} {typed:?}");
            assert!(!error.to_string().contains('@'));
        }
        assert!(confirmed(Act::Disable, "nobody", Some("nobody".into()), &b""[..]).is_err());
    }
}

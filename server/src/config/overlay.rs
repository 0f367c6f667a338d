//! One table from file, environment and flags.

use std::{fs, io, path::Path};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{DEFAULT_FILE, Sources};
use crate::{Error, Result};

/// What variables of this program begin with.
const PREFIX: &str = "AEGIS_SERVER__";

/// Reads the sources into a type that refuses unknown keys; also says where they are.
pub(super) fn read<T: DeserializeOwned>(sources: &Sources) -> Result<(String, T)> {
    let (place, mut table) = file(sources.file.as_deref())?;
    // The file alone first, so that a mistake in it is told with its line.
    for (name, text) in &sources.environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key: Vec<_> = rest.split("__").map(str::to_ascii_lowercase).collect();
        set(&mut table, &key, value(text)).map_err(|problem| wrong(&format!("variable {name}"), problem))?;
    }
    for flag in &sources.flags {
        let place = format!("--set {}", flag.split('=').next().unwrap_or_default());
        let (key, text) = flag.split_once('=').ok_or_else(|| wrong(&place, "has no `=`".into()))?;
        let key: Vec<_> = key.split('.').map(str::to_owned).collect();
        set(&mut table, &key, value(text)).map_err(|problem| wrong(&place, problem))?;
    }
    let over = sources.environment.iter().any(|(name, _)| name.starts_with(PREFIX));
    let place =
        if over || !sources.flags.is_empty() { format!("{place}, variables and flags") } else { place };
    match table.try_into() {
        Ok(read) => Ok((place, read)),
        Err(error) => Err(wrong(&place, one_line(&toml::de::Error::to_string(&error)))),
    }
}

fn file(path: Option<&Path>) -> Result<(String, Table)> {
    let chosen = path.unwrap_or(Path::new(DEFAULT_FILE));
    let place = chosen.display().to_string();
    let text = match fs::read_to_string(chosen) {
        // Only the file that nobody asked for may be missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => String::new(),
        other => other.map_err(Error::io("reading", chosen))?,
    };
    let table =
        toml::from_str(&text).map_err(|error| wrong(&place, error.to_string().trim_end().to_owned()))?;
    Ok((place, table))
}

/// A value as TOML writes it; what is none is a text.
fn value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn set(table: &mut Table, key: &[String], value: Value) -> Result<(), String> {
    match key {
        [] => Err("names no key".into()),
        [last] if last.is_empty() => Err("names no key".into()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            match table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(inner) => set(inner, rest, value),
                _ => Err(format!("`{first}` is not a table")),
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wrong(place: &str, problem: String) -> Error {
    Error::Config {
        place: place.to_owned(),
        problem,
        hint: "correct the key or its value; `aegis-server check-config --defaults` prints all of them"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read_with(text: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<Config> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        fs::write(&file, text).unwrap();
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let flags = flags.iter().map(|flag| (*flag).into()).collect();
        Config::read(&Sources { file: Some(file), environment, flags })
    }

    #[test]
    fn flags_are_over_variables_and_those_over_the_file() {
        let text = "[limits]\nconnections = 10\nheader_seconds = 3\nidle_seconds = 3\n";
        let variables = [
            ("AEGIS_SERVER__LIMITS__HEADER_SECONDS", "4"),
            ("AEGIS_SERVER__LIMITS__IDLE_SECONDS", "4"),
            ("HOME", "/"),
        ];
        let config = read_with(text, &variables, &["limits.idle_seconds=5"]).unwrap();
        let limits = &config.limits;
        assert_eq!((limits.connections, limits.header_seconds, limits.idle_seconds), (10, 4, 5));
        let config =
            read_with("", &[], &["listen.public=[\"[::1]:1\"]", "site.origin=https://a.example"]).unwrap();
        assert_eq!(
            (config.listen.public, config.site.origin),
            (vec!["[::1]:1".into()], "https://a.example".into())
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, variables, flags, words) in [
            ("[listen]\npubic = []\n", &[][..], &[][..], "pubic"),
            ("[limits]\nconnections = \"many\"\n", &[], &[], "invalid type"),
            ("[limits\n", &[], &[], "line 1"),
            ("", &[("AEGIS_SERVER__LISTNE__PUBLIC", "x")], &[], "listne"),
            ("", &[], &["limits.connections"], "--set limits.connections"),
            ("", &[], &["=1"], "names no key"),
            ("[limits]\nconnections = 1\n", &[], &["limits.connections.x=1"], "not a table"),
            ("", &[], &["limits.connections=0"], "nobody could be served"),
            ("", &[], &["limits.connections=-1"], "limits"),
            ("", &[], &["site.origin=ftp://x"], "ftp://x"),
            ("", &[], &["site.origin=https://a/b"], "https://a/b"),
            ("", &[], &["listen.public=[]"], "is empty"),
            ("", &[], &["listen.public=[\"80\"]"], "`80`"),
            ("", &[], &["listen.watch=here"], "`here`"),
            ("", &[], &["listen.redirect=[\"80\"]"], "`80`"),
            ("", &[], &["listen.redirect=[\"[::]:80\"]"], "which is not https"),
            ("", &[], &["listen.acme_webroot=/x"], "listen.redirect, which is empty"),
            ("", &[], &["listen.trusted_proxies=[\"10.0.0.0/33\"]"], "10.0.0.0/33"),
            ("", &[], &["log.filter=access=loud"], "log.filter"),
            ("", &[], &["otel.endpoint=https://a.example"], "is not http://HOST:PORT"),
            #[cfg(not(feature = "otel"))]
            ("", &[], &["otel.endpoint=http://127.0.0.1:4318"], "without the feature `otel`"),
        ] {
            let error = read_with(text, variables, flags).unwrap_err();
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        let missing = Sources { file: Some("/nowhere/at/all.toml".into()), ..Sources::default() };
        assert!(Config::read(&missing).unwrap_err().to_string().contains("/nowhere/at/all.toml"));
    }

    #[test]
    fn what_is_printed_is_read_again_and_hides_the_password() {
        let config = read_with("", &[], &["storage.database=postgres://me:secret@host/db"]).unwrap();
        let text = config.to_string();
        assert!(!text.contains("secret@") && text.contains("postgres://me:***@host/db"), "{text}");
        assert_eq!(read_with(&text.replace("***", "secret"), &[], &[]).unwrap(), config);
    }
}

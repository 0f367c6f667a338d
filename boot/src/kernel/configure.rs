//! From layers to a whole configuration, by the kernel's own programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_editions::Spec;
use aegis_kernel_configs::{DotConfig, Layer, Merged, Value, dotconfig, merge};

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    kernel::workshop::{Room, Workshop},
};

/// Where the build finds the key that signs modules; the kernel's own `certs/signing_key.pem` would be made anew.
pub const MODULE_KEY: &str = "/keys/kernel.pem";

/// What an edition asks for, and the configuration that the kernel made of it.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The requests.
    pub merged: Merged,
    /// The `.config`.
    pub text: String,
    /// The same, to ask.
    pub config: DotConfig,
    /// Symbols that neither base nor layers answer, and what the kernel took.
    pub unanswered: Vec<(String, String)>,
}

/// The names of an edition's layers, in the order of merging.
pub fn layers_of(spec: &Spec) -> Vec<String> {
    spec.kernel.fragments.iter().cloned().chain([format!("edition/{}", spec.id)]).collect()
}

/// Reads and merges an edition's layers below `directory`.
pub fn merged(spec: &Spec, directory: &Path, workshop: &Workshop) -> Result<Merged> {
    let read = |name: &String| Layer::read(directory, name);
    let layers: Vec<Layer> =
        layers_of(spec).iter().map(read).collect::<Result<_, _>>().map_err(Error::Layers)?;
    merge(&layers, workshop.version).map_err(Error::Layers)
}

/// Asks the kernel for the whole configuration of an edition. The second value is true when the answer was there.
pub fn configure(
    cache: &Cache,
    workshop: &Workshop,
    spec: &Spec,
    merged: Merged,
) -> Result<(Configured, bool)> {
    let mut request = merged.over(&workshop.base);
    // What the builder decides: the same for a check and for the build, so that the answers are the same.
    for (symbol, value) in [
        ("LOCALVERSION", Value::Text(format!("-aegis-{}", spec.id))),
        ("LOCALVERSION_AUTO", Value::No),
        ("MODULE_SIG_KEY", Value::Text(MODULE_KEY.into())),
    ] {
        request.push_str(&dotconfig::line(symbol, &value));
    }
    let (programs, _) = programs(cache, workshop)?;
    let key = Key::new("kconfig").with(workshop.key.0).with(&request);
    let (result, cached) = cache.stage("kconfig", key, |result| {
        let work = tempfile::tempdir().map_err(Error::io("creating", "a directory for a configuration"))?;
        copy(&programs, work.path())?;
        let config = work.path().join(".config");
        fs::write(&config, &request).map_err(Error::io("writing", &config))?;
        let new = host::output(
            workshop.make(Room::empty(work.path())).args(["-s", "listnewconfig"]),
            "asking for new symbols",
        )?;
        host::output(
            workshop.make(Room::empty(work.path())).args(["-s", "olddefconfig"]),
            "completing a kernel configuration",
        )?;
        fs::create_dir(result).map_err(Error::io("creating", result))?;
        fs::copy(&config, result.join("config")).map_err(Error::io("copying", &config))?;
        fs::write(result.join("new"), new).map_err(Error::io("writing", result))
    })?;
    let read = |name: &str| {
        let path = result.join(name);
        fs::read_to_string(&path).map_err(Error::io("reading", path))
    };
    let text = read("config")?;
    let config = DotConfig::parse(&text);
    Ok((Configured { merged, config, text, unanswered: unanswered(&read("new")?) }, cached))
}

/// The lines of `listnewconfig`.
fn unanswered(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (symbol, default) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        Some((symbol.to_owned(), default.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// A build directory in which the kernel's configuration programs are built; they take longer than their answers.
fn programs(cache: &Cache, workshop: &Workshop) -> Result<(PathBuf, bool)> {
    cache.stage("kconfig-programs", Key::new("kconfig-programs").with(workshop.key.0), |result| {
        fs::create_dir(result).map_err(Error::io("creating", result))?;
        let config = result.join(".config");
        fs::write(&config, &workshop.base).map_err(Error::io("writing", config))?;
        let mut command = workshop.make(Room::empty(result));
        host::output(command.args(["-s", "olddefconfig"]), "building the kernel's configuration programs")
            .map(drop)
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // With times, or make would build the programs again.
    let mut command = Command::new("cp");
    command.args(["--archive", "--no-target-directory"]).arg(from).arg(to);
    host::output(&mut command, "copying the kernel's configuration programs").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_symbols_are_read_from_what_the_kernel_lists() {
        let found = unanswered("CONFIG_A=y\nnoise\nCONFIG_B=\"x=1\"\n");
        assert_eq!(found, [("A".into(), "y".into()), ("B".into(), "\"x=1\"".into())]);
    }

    #[test]
    fn the_edition_s_own_layer_comes_last() {
        let spec = Spec::load(aegis_core::edition::Edition::Server).unwrap();
        assert_eq!(layers_of(&spec).last().map(String::as_str), Some("edition/server"));
    }
}

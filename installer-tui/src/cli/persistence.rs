//! `aegis-installer persistence`: a live stick keeps what is changed.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use aegis_hw::{Bytes, Lock, units::MIB};
use serde_json::json;

use super::{PathArgs, lines};
use crate::{
    error::Error,
    persistence::{self, PersistencePlan},
    select,
};

#[derive(Debug, clap::Args)]
pub(super) struct PersistenceArgs {
    /// Stick with a live image. An existing regular file can stand for it.
    device: PathBuf,

    /// Size of the partition, such as 8GiB or 500MiB.
    ///
    /// Without it, all that the image leaves.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<Bytes>,

    /// Serial number of the device.
    ///
    /// It confirms that the device is to be changed. Without it, it is asked for.
    /// A device without a serial number is confirmed by its name.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,

    /// Prints what would be done and changes nothing.
    #[arg(long)]
    plan: bool,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn parse_size(text: &str) -> Result<Bytes, String> {
    let units = [("MiB", MIB), ("GiB", MIB << 10)];
    let parsed = units.into_iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(bytes).filter(|bytes| *bytes > 0)
    });
    parsed.map(Bytes).ok_or_else(|| "expected a number and MiB or GiB, such as 8GiB".into())
}

pub(super) fn run(paths: &PathArgs, args: &PersistenceArgs) -> Result<(), Error> {
    paths.writable("change a stick")?;
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let plan = PersistencePlan::new(&tree, &args.device, &medium, args.size)?;
    if args.plan {
        lines::out(&if args.json { format!("{:#}\n", json!(plan)) } else { plan.to_string() });
        return Ok(());
    }
    confirm(&plan, args)?;
    let _lock = Lock::take(&paths.lock)?;
    let _awake = lines::stay_awake("a stick is being changed");
    persistence::run(&plan)?;
    let (path, size) = (plan.target.path.display(), plan.size);
    lines::out(&match args.json {
        true => format!("{}\n", json!({ "event": "complete", "device": plan.target.path, "size": size })),
        false => format!("{path}: the live system keeps what is changed, in {size}\n"),
    });
    Ok(())
}

fn confirm(plan: &PersistencePlan, args: &PersistenceArgs) -> Result<(), Error> {
    let expected = &plan.target.token;
    let found = match &args.serial {
        Some(word) => word.clone(),
        None if !args.json && io::stdin().is_terminal() => {
            lines::out(&format!("{plan}Type `{expected}` to change {}: ", plan.target.path.display()));
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map_err(Error::Terminal)?;
            line.trim().to_owned()
        }
        None => String::new(),
    };
    if found == *expected {
        return Ok(());
    }
    Err(Error::Confirmation { expected: expected.clone(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("8GiB"), Ok(Bytes(8 << 30)));
        assert_eq!(parse_size("500 MiB"), Ok(Bytes(500 << 20)));
        for text in ["8", "8G", "0MiB", "-1GiB", "99999999999999999GiB", "MiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}

//! Measures Aegis OS against its peers and writes the report.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use aegis_core::report::{Hint, render};
use aegis_tests::{
    Error,
    bench::{Bench, flash, hardware, image, initramfs, iso, kernel, license, report, server},
};
use clap::{Parser, ValueEnum};

/// Measures against the peers; the report is target/aegis/bench.md
#[derive(Parser)]
#[command(name = "aegis-bench", max_term_width = 80)]
struct Cli {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Directory of cargo's build products [default: target]
    #[arg(long)]
    target: Option<PathBuf>,
    /// The builder's cache [default: ~/.cache/aegis]
    #[arg(long)]
    cache: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Size of the initramfs, and time from PID 1 to the new root
    Initramfs,
    /// Formats of the root image: size, time to make, time to read
    Image,
    /// Time from packages to an ISO, cold and after a change
    Iso,
    /// Licenses: documents verified in a second, and bytes of the verifier
    License,
    /// Hardware: inventory against lsblk and lshw, events, partition plans
    Hardware,
    /// Writing images: against dd, bmaptool and caligula; memory; SHA-256
    Flash,
    /// Kernel configurations: all editions checked, against the kernel's own script
    Kernel,
    /// Kernels that were built: sizes, boot and wake-up beside Debian's
    OwnKernel,
    /// The server against nginx: pages, API, downloads, idle connections
    Server,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", render(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf();
    let target = cli.target.unwrap_or_else(|| workspace.join("target"));
    let cache = cli.cache.map_or_else(default_cache, Ok)?;
    let bench = Bench::open(&workspace, &target, &cache)?;
    let parts = if cli.parts.is_empty() { Part::value_variants() } else { &cli.parts };
    let mut text = format!("# Benchmarks\n\n{}", report::machine());
    let file = workspace.join("target/aegis/bench.md");
    for part in parts {
        let section = match part {
            Part::Initramfs => initramfs::measure(&bench)?,
            Part::Image => image::measure(&bench)?,
            Part::Iso => iso::measure(&bench)?,
            Part::License => license::measure(&bench)?,
            Part::Hardware => hardware::measure(&bench)?,
            Part::Flash => flash::measure(&bench)?,
            Part::Kernel => kernel::measure(&bench)?,
            Part::OwnKernel => kernel::measure_built(&bench)?,
            Part::Server => server::measure(&bench)?,
        };
        text.push('\n');
        text.push_str(&section);
        // After each part: a later one that fails takes nothing away.
        fs::write(&file, &text).map_err(Error::io("write", &file))?;
    }
    println!("{text}");
    Ok(())
}

fn default_cache() -> Result<PathBuf, Error> {
    let home = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    home("XDG_CACHE_HOME")
        .or_else(|| home("HOME").map(|path| path.join(".cache")))
        .map(|path| path.join("aegis"))
        .ok_or_else(|| Error::io("find", "HOME")(std::io::ErrorKind::NotFound.into()))
}

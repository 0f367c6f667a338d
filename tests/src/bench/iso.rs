//! The builder: from packages to an ISO, cold and after one file of an overlay was changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
};

use aegis_boot::overlay;

use super::{
    Bench,
    live_build::{self, LiveBuild, write_changed},
    measure::{self, median},
    report,
};
use crate::error::Error;

/// Rebuilds with a changed file, in turns.
const ROUNDS: usize = 3;
/// The level of zstd that the peer is told to use, and the edition's own for releases.
const SAME_LEVEL: [&str; 2] = ["--level", "15"];

/// One build of ours: seconds of each stage and of the whole, and bytes of the ISO.
struct Build {
    stages: Vec<(String, f64)>,
    total: f64,
    size: u64,
}

/// Measures and reports.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let peer = if live_build::is_possible() { Some(LiveBuild::prepare(bench)?) } else { None };
    let workspace = copy_workspace(bench)?;
    let cold_cache = cold_cache(bench)?;
    let cold = build(bench, &workspace, &cold_cache, &SAME_LEVEL)?;
    eprintln!("cold: {:.1} s", cold.total);
    let peer_cold = peer.as_ref().map(LiveBuild::cold).transpose()?;
    eprintln!("cold, live-build: {peer_cold:.1?} s");
    let common = workspace.join(overlay::DIRECTORY).join("common");
    write_changed(&common, "changed\n")?;
    let same_level = build(bench, &workspace, &cold_cache, &SAME_LEVEL)?;
    let (mut changed, mut peer_changed) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let content = format!("changed {round}\n");
        write_changed(&common, &content)?;
        changed.push(build(bench, &workspace, &cold_cache, &[])?);
        peer_changed.extend(peer.as_ref().map(|peer| peer.changed(&content)).transpose()?);
        eprintln!(
            "changed {round}/{ROUNDS}: {:.1} s, {:.1?} s",
            changed[round - 1].total,
            peer_changed.last()
        );
    }
    let ours = median(&changed.iter().map(|build| build.total).collect::<Vec<_>>());
    let mut text = format!(
        "## ISO\n\nThe server edition's packages and overlays, all packages in a local cache. Cold: no result of an earlier\n\
         build, one run. Changed: another content of one file of the overlay, median of {ROUNDS}, in turns; at level 15 one\n\
         run. Builds that are no releases compress with zstd 3, unless told otherwise.\n\n"
    );
    let row = |name: &str, cold: f64, changed: f64, size: u64| {
        vec![name.to_owned(), report::seconds(cold), report::seconds(changed), report::megabytes(size)]
    };
    let mut rows = vec![
        row("aegis iso build", f64::NAN, ours, changed[0].size),
        row("aegis iso build --level 15", cold.total, same_level.total, cold.size),
    ];
    let mut verdict =
        "live-build needs root and was not measured; without it there is no verdict.\n".to_owned();
    if let (Some(peer), Some(peer_cold)) = (&peer, peer_cold) {
        let theirs = median(&peer_changed);
        rows.push(row(&format!("live-build {}", peer.version), peer_cold, theirs, peer.size()?));
        verdict = format!(
            "live-build is told to compress as we do (zstd 15; its own default is xz). It refreshes the package indexes over\n\
             the network in a cold build. Its rebuild is `lb clean --binary`, `lb chroot_includes_after_packages --force`,\n\
             `lb binary`.\n\n{}{}{}",
            report::target("cold, with --level 15", peer_cold / cold.total, 1.0),
            report::target("one file of the overlay changed", theirs / ours, 10.0),
            report::target(
                "one file of the overlay changed, with --level 15",
                theirs / same_level.total,
                10.0
            ),
        );
    }
    text.push_str(&report::table(&["builder", "cold", "changed", "ISO"], &rows));
    text.push_str(&format!("\n{verdict}\nWhere our time goes:\n\n{}", stages(&cold, &changed, &same_level)));
    Ok(text)
}

fn stages(cold: &Build, changed: &[Build], same_level: &Build) -> String {
    let of = |builds: &[Build], stage: &str| {
        let times = builds.iter().flat_map(|build| &build.stages).filter(|(name, _)| name == stage);
        report::seconds(median(&times.map(|(_, seconds)| *seconds).collect::<Vec<_>>()))
    };
    let row = |(name, seconds): &(String, f64)| {
        vec![
            name.clone(),
            report::seconds(*seconds),
            of(slice::from_ref(same_level), name),
            of(changed, name),
        ]
    };
    let rows: Vec<_> = cold.stages.iter().map(row).collect();
    report::table(&["stage", "cold, level 15", "changed, level 15", "changed"], &rows)
}

/// A cache with the packages alone.
fn cold_cache(bench: &Bench) -> Result<PathBuf, Error> {
    let cache = bench.empty("cold-cache")?;
    for name in ["debs", "resolved"] {
        let (from, to) = (bench.cache_directory.join(name), cache.join(name));
        fs::create_dir_all(&to).map_err(Error::io("create", &to))?;
        for entry in fs::read_dir(&from).map_err(Error::io("read", &from))?.flatten() {
            let (path, copy) = (entry.path(), to.join(entry.file_name()));
            let wanted = path.extension().is_some_and(|extension| extension == "deb" || extension == "json");
            if wanted && fs::hard_link(&path, &copy).is_err() {
                fs::copy(&path, &copy).map_err(Error::io("copy", &path))?;
            }
        }
    }
    Ok(cache)
}

/// The overlays where a file can be changed without touching the project.
fn copy_workspace(bench: &Bench) -> Result<PathBuf, Error> {
    let workspace = bench.empty("workspace")?;
    let target = workspace.join(overlay::DIRECTORY);
    fs::create_dir_all(&target).map_err(Error::io("create", &target))?;
    let source = bench.workspace.join(overlay::DIRECTORY).join(".");
    measure::run("cp", Command::new("cp").arg("-a").arg(source).arg(target))?;
    Ok(workspace)
}

fn build(bench: &Bench, workspace: &Path, cache: &Path, more: &[&str]) -> Result<Build, Error> {
    let mut command = Command::new(&bench.aegis);
    command.args(["iso", "build", "--edition", "server", "--offline", "--json"]);
    for (option, path) in [
        ("--cache", cache),
        ("--workspace", workspace),
        ("--binaries", bench.binaries.as_path()),
        ("--out", &bench.work.join("iso-out")),
    ] {
        command.arg(option).arg(path);
    }
    command.args(more);
    let (events, total) = measure::timed(|| measure::run("aegis", &mut command))?;
    let stage = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "done").then_some(())?;
        Some((event["stage"].as_str()?.to_owned(), event["seconds"].as_f64()?))
    };
    let size = iso_size(&bench.work.join("iso-out"))?;
    Ok(Build { stages: events.lines().filter_map(stage).collect(), total, size })
}

fn iso_size(directory: &Path) -> Result<u64, Error> {
    let entries = fs::read_dir(directory).map_err(Error::io("read", directory))?;
    let iso =
        entries.flatten().find(|entry| entry.path().extension().is_some_and(|extension| extension == "iso"));
    let missing = || Error::io("find an ISO in", directory)(std::io::ErrorKind::NotFound.into());
    let iso = iso.ok_or_else(missing)?;
    Ok(iso.metadata().map_err(Error::io("read", directory))?.len())
}

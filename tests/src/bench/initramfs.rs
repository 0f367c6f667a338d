//! The initramfs: size, and time from PID 1 to the first program of the new root.

use std::{fs, path::Path};

use super::{
    Bench,
    measure::median,
    medium::{self, Boot, Medium, Root},
    peers::PEERS,
    report,
};
use crate::{error::Error, vm::Bus};

/// Boots of each archive; one after the other, in turns.
const ROUNDS: usize = 5;

struct Candidate {
    name: String,
    archive: std::path::PathBuf,
    parameters: String,
    size: u64,
    /// Whether it is booted, or only weighed.
    booted: bool,
    boots: Vec<Boot>,
}

impl Candidate {
    fn new(name: String, archive: &Path, parameters: &str) -> Result<Self, Error> {
        let size = fs::metadata(archive).map_err(Error::io("read", archive))?.len();
        let (archive, parameters) = (archive.to_path_buf(), parameters.to_owned());
        Ok(Self { name, archive, parameters, size, booted: true, boots: Vec::new() })
    }

    fn of(&self, time: impl Fn(&Boot) -> f64) -> f64 {
        median(&self.boots.iter().map(time).collect::<Vec<_>>())
    }

    fn in_initramfs(&self) -> f64 {
        self.of(|boot| boot.root - boot.init)
    }
}

/// Measures and reports.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let medium = Medium::make(bench, &Root { program: "marker.rs", tree: None }, &bench.kernel)?;
    let ours = medium.initramfs(bench, &bench.kernel)?;
    let mut candidates = vec![Candidate::new("Aegis OS".to_owned(), &ours, &medium.parameters)?];
    let mut versions = Vec::new();
    for peer in &PEERS {
        let made = peer.prepare(bench)?;
        for (archive, how) in [(&made.default, "default"), (&made.zstd19, "zstd 19")] {
            let mut candidate = Candidate::new(format!("{}, {how}", peer.name), archive, peer.parameters)?;
            // The kernel unpacks the archive before PID 1, so compression changes nothing afterwards.
            candidate.booted = archive == &made.default;
            candidates.push(candidate);
        }
        versions.push(made.versions);
    }
    for round in 1..=ROUNDS {
        for candidate in candidates.iter_mut().filter(|candidate| candidate.booted) {
            let (archive, parameters) = (&candidate.archive, &candidate.parameters);
            let boot = medium.boot(bench, "initramfs", (&bench.kernel, archive), Bus::Cdrom, parameters)?;
            eprintln!("{round}/{ROUNDS} {}: {:.2} s", candidate.name, boot.root - boot.init);
            candidate.boots.push(boot);
        }
    }
    render(bench, &candidates, &versions)
}

fn render(bench: &Bench, candidates: &[Candidate], versions: &[String]) -> Result<String, Error> {
    let row = |candidate: &Candidate| {
        let times: Vec<f64> = candidate.boots.iter().map(|boot| boot.root - boot.init).collect();
        if times.is_empty() {
            let mut row = vec![candidate.name.clone(), report::megabytes(candidate.size)];
            row.resize(6, "-".to_owned());
            return row;
        }
        let (least, most) =
            (times.iter().copied().fold(f64::MAX, f64::min), times.iter().copied().fold(0.0, f64::max));
        vec![
            candidate.name.clone(),
            report::megabytes(candidate.size),
            report::seconds(candidate.in_initramfs()),
            format!("{least:.2} to {most:.2}"),
            report::seconds(candidate.of(|boot| boot.init)),
            report::seconds(candidate.of(|boot| boot.root)),
        ]
    };
    let rows: Vec<_> = candidates.iter().map(row).collect();
    let head = ["initramfs", "size", "PID 1 to new root", "range", "kernel to PID 1", "kernel to new root"];
    let (ours, theirs) = candidates.split_at(1);
    let (ours, best) =
        (&ours[0], |value: fn(&Candidate) -> f64| theirs.iter().map(value).fold(f64::MAX, f64::min));
    let size = best(|candidate| candidate.size as f64) / ours.size as f64;
    let time = best(|candidate| if candidate.booted { candidate.in_initramfs() } else { f64::MAX })
        / ours.in_initramfs();
    Ok(format!(
        "## Initramfs\n\nKernel {}, the same small SquashFS image on the same CD (SATA), {}, software emulation of 2\n\
         processors, kernel and initramfs loaded by the emulator. Medians of {ROUNDS} boots of each, in turns; times are the\n\
         kernel's. \"Kernel to PID 1\" contains unpacking the archive. Ours checks a signature and dm-verity besides.\n\n{}\n\
         {}{}\nPeers: {}.\n",
        bench.kernel.release,
        medium::emulator()?,
        report::table(&head, &rows),
        report::target("size against the smallest peer", size, 5.0),
        report::target("time against the fastest peer", time, 2.0),
        versions.join("; "),
    ))
}

//! The server's own kernel beside Debian's: sizes, and the time to PID 1 and to the new root.

use std::{fs, path::Path};

use aegis_boot::kernel::{
    Kernel,
    build::{Built, Record},
};
use aegis_core::edition::Edition;

use super::wrong;
use crate::{
    bench::{
        Bench,
        measure::median,
        medium::{Boot, Medium, Root},
        report,
    },
    error::Error,
    vm::Bus,
};

/// Boots of each kernel, in turns.
const ROUNDS: usize = 5;

/// A kernel that `aegis kernel build` left, or how to make one.
pub(super) fn find(bench: &Bench, edition: Edition) -> Result<Result<(Kernel, Record), String>, Error> {
    let directory = bench.workspace.join("target/aegis/kernel").join(edition.id());
    let record = directory.join("build.json");
    if !record.exists() {
        return Ok(Err(format!(
            "\nThe kernel of {edition} was not measured: it is built first, by `aegis kernel build --edition {edition}`.\n"
        )));
    }
    let text = fs::read_to_string(&record).map_err(Error::io("read", &record))?;
    let record: Record = serde_json::from_str(&text).map_err(wrong)?;
    let built = Built { directory, record };
    let (kernel, _) = Kernel::of_edition(&bench.cache, &built, &bench.tools)?;
    Ok(Ok((kernel, built.record)))
}

/// The part of the section.
pub(super) fn measure(bench: &Bench) -> Result<String, Error> {
    let (kernel, record) = match find(bench, Edition::Server)? {
        Ok(found) => found,
        Err(missing) => return Ok(missing),
    };
    let kernels = [&kernel, &bench.kernel];
    let media = [marked(bench, kernels[0])?, marked(bench, kernels[1])?];
    let archives = [media[0].initramfs(bench, kernels[0])?, media[1].initramfs(bench, kernels[1])?];
    let mut boots: [Vec<Boot>; 2] = Default::default();
    for round in 1..=ROUNDS {
        for (which, kernel) in kernels.into_iter().enumerate() {
            let boot = media[which].boot(
                bench,
                "kernel",
                (kernel, &archives[which]),
                Bus::Cdrom,
                &media[which].parameters,
            )?;
            eprintln!("{round}/{ROUNDS} {}: PID 1 after {:.2} s", kernel.release, boot.init);
            boots[which].push(boot);
        }
    }
    let mut text = render(kernels, &archives, &boots, &record)?;
    for edition in [Edition::Server, Edition::Gamer] {
        if let Ok((kernel, record)) = find(bench, edition)? {
            text.push_str(&starts(bench, &kernel, &record)?);
        }
    }
    Ok(text)
}

/// A medium whose program tells when it was started.
fn marked(bench: &Bench, kernel: &Kernel) -> Result<Medium, Error> {
    Medium::make(bench, &Root { program: "marker.rs", tree: None }, kernel)
}

/// One boot from each kind of device, to the new root.
fn starts(bench: &Bench, kernel: &Kernel, record: &Record) -> Result<String, Error> {
    let medium = marked(bench, kernel)?;
    let archive = medium.initramfs(bench, kernel)?;
    let places = [
        ("CD", Bus::Cdrom),
        ("USB stick behind a hub", Bus::UsbHub),
        ("NVMe", Bus::Nvme),
        ("virtio", Bus::Virtio),
    ];
    let mut times = Vec::new();
    for (name, bus) in places {
        let boot = medium.boot(bench, "kernel-starts", (kernel, &archive), bus, &medium.parameters)?;
        times.push(format!("{name} {}", report::seconds(boot.root)));
    }
    Ok(format!("\n{record}. Once from each to the new root: {}.\n", times.join(", ")))
}

fn render(
    kernels: [&Kernel; 2],
    archives: &[std::path::PathBuf; 2],
    boots: &[Vec<Boot>; 2],
    record: &Record,
) -> Result<String, Error> {
    let size = |path: &Path| fs::metadata(path).map(|data| data.len()).map_err(Error::io("read", path));
    let of =
        |which: usize, time: fn(&Boot) -> f64| median(&boots[which].iter().map(time).collect::<Vec<_>>());
    let modules = [modules(&kernels[0].modules())?, modules(&kernels[1].modules())?];
    let mut rows = Vec::new();
    for which in [0, 1] {
        rows.push(vec![
            kernels[which].release.clone(),
            report::megabytes(size(&kernels[which].image())?),
            format!("{} of {}", modules[which].0, report::megabytes(modules[which].1)),
            report::megabytes(size(&archives[which])?),
            report::seconds(of(which, |boot| boot.init)),
            report::seconds(of(which, |boot| boot.root)),
        ]);
    }
    let head = ["kernel", "image", "modules", "boot archive", "to PID 1", "to the new root"];
    let ratio = |time: fn(&Boot) -> f64| of(0, time) / of(1, time);
    Ok(format!(
        "\nThe server's own kernel and Debian's, with aegis-init and the same CD, in software emulation of 2 processors; times are \
         the kernel's, medians of {ROUNDS} boots of each in turns. Ours has its disks' drivers built in and looks for disks before \
         PID 1; Debian's loads them afterwards. It was built in {} s ({} files).\n\n{}\n{}{}{}",
        record.seconds,
        record.compiled,
        report::table(&head, &rows),
        report::at_most("bytes of modules to Debian's", modules[0].1 as f64 / modules[1].1 as f64, 0.7),
        report::at_most("time to PID 1 to Debian's", ratio(|boot| boot.init), 0.8),
        report::at_most("time to the new root to Debian's", ratio(|boot| boot.root), 0.8),
    ))
}

/// Files and bytes of the modules below a directory, as they lie there.
fn modules(directory: &Path) -> Result<(usize, u64), Error> {
    let (mut count, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))?.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let data = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        if data.is_dir() {
            let (files, size) = modules(&path)?;
            (count, bytes) = (count + files, bytes + size);
        } else if name.ends_with(".ko") || name.contains(".ko.") {
            (count, bytes) = (count + 1, bytes + data.len());
        }
    }
    Ok((count, bytes))
}

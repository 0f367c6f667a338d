//! How late the gamer's kernel wakes a thread that is due, beside Debian's: `cyclictest` while `hackbench` runs.

use std::{fs, process::Command};

use aegis_core::edition::Edition;

use super::own;
use crate::{
    bench::{
        Bench, measure,
        measure::median,
        medium::{Medium, Root},
        peers, report,
    },
    error::Error,
    vm::Bus,
};

/// Runs of each kernel, in turns.
const ROUNDS: usize = 3;

/// Microseconds by which a thread was late.
#[derive(Clone, Copy)]
struct Late {
    middle: f64,
    of_hundred: f64,
    most: f64,
}

/// The part of the section.
pub(super) fn measure(bench: &Bench) -> Result<String, Error> {
    let kernel = match own::find(bench, Edition::Gamer)? {
        Ok((kernel, _)) => kernel,
        Err(missing) => return Ok(missing),
    };
    let tree = bench.empty("latency")?.join("tree");
    unpack(&tree)?;
    let root = Root { program: "kernel/cyclic.rs", tree: Some(&tree) };
    let kernels = [&kernel, &bench.kernel];
    let media = [Medium::make(bench, &root, kernels[0])?, Medium::make(bench, &root, kernels[1])?];
    let archives = [media[0].initramfs(bench, kernels[0])?, media[1].initramfs(bench, kernels[1])?];
    let mut late: [Vec<Late>; 2] = Default::default();
    for round in 1..=ROUNDS {
        for (which, kernel) in kernels.into_iter().enumerate() {
            let said = media[which].run(
                bench,
                "latency",
                (kernel, &archives[which]),
                Bus::Cdrom,
                &media[which].parameters,
            )?;
            eprintln!("{round}/{ROUNDS} {}: {said}", kernel.release);
            late[which].push(read(&said)?);
        }
    }
    let of =
        |which: usize, value: fn(&Late) -> f64| median(&late[which].iter().map(value).collect::<Vec<_>>());
    let row = |which: usize| {
        let us = |value| format!("{value:.0} µs");
        let values =
            [of(which, |late| late.middle), of(which, |late| late.of_hundred), of(which, |late| late.most)];
        [vec![kernels[which].release.clone()], values.into_iter().map(us).collect()].concat()
    };
    let head = ["kernel", "half of them at most", "99 of 100 at most", "the latest"];
    let ratio = of(0, |late| late.of_hundred) / of(1, |late| late.of_hundred);
    Ok(format!(
        "\nThe gamer's own kernel and Debian's: `cyclictest`, one thread on each of 2 emulated processors due every millisecond, while \
         `hackbench` runs; medians of {ROUNDS} runs in turns. In emulation the host's own scheduling is part of every number.\n\n{}\n{}",
        report::table(&head, &[row(0), row(1)]),
        report::at_most("99 of 100 to Debian's", ratio, 1.0),
    ))
}

/// The tests' package and what it needs, unpacked from Debian.
fn unpack(tree: &std::path::Path) -> Result<(), Error> {
    let list = tree.with_extension("list");
    fs::write(&list, peers::source_list()?).map_err(Error::io("write", &list))?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=extract", "--format=directory", "--include=rt-tests"]);
    command.arg(aegis_boot::sources::SUITE).arg(tree).arg(list);
    measure::run("mmdebstrap", &mut command).map(drop)
}

/// `lateness:count` of each microsecond that occurred, of both threads together.
fn read(said: &str) -> Result<Late, Error> {
    let format = || Error::Format { what: "the answer of cyclictest".into(), problem: said.to_owned() };
    let pair = |word: &str| {
        let (late, count) = word.split_once(':')?;
        Some((late.parse::<u32>().ok()?, count.parse::<u64>().ok()?))
    };
    let counts: Vec<(u32, u64)> = said.split_whitespace().filter_map(pair).collect();
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let share = |share: f64| {
        let mut seen = 0;
        counts.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= share * all as f64
        })
    };
    let value = |found: Option<&(u32, u64)>| found.map(|(late, _)| f64::from(*late)).ok_or_else(format);
    Ok(Late { middle: value(share(0.5))?, of_hundred: value(share(0.99))?, most: value(counts.last())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_wakings() {
        let late = read(" 3:50 7:48 90:1 5000:1 END").unwrap();
        assert_eq!((late.middle, late.of_hundred, late.most), (3.0, 90.0, 5000.0));
        assert!(read("failed: no such file END").is_err());
    }
}

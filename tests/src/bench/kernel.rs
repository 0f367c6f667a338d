//! Kernel configurations: the check of all editions against `merge_config.sh`, `olddefconfig` and a comparison by shell; and
//! what an edition's own kernel saves and how soon it wakes a thread, where one was built.

mod latency;
mod own;

use std::{fs, path::Path, process::Command};

use aegis_boot::{
    cache::Cache,
    kernel::{
        configure,
        workshop::{Origin, Room, Workshop},
    },
    progress::Progress,
};
use aegis_editions::Spec;
use aegis_kernel_configs::{Layer, dotconfig};

use super::{
    Bench,
    measure::{median, run, timed},
    report,
};
use crate::error::Error;

/// Rounds of the comparison, in turns.
const ROUNDS: usize = 1;

/// Lines that lose their request, each in another way; a whole check names each of them.
const PLANTED: [(&str, &str); 20] = [
    ("CONFIG_NTSYNC", "m"),
    ("CONFIG_KVM_AMD_SEVV", "y"),
    ("CONFIG_X86_X32", "n"),
    ("CONFIG_SND_HDA_INTEL", "m"),
    ("CONFIG_EXT4_DEBUG", "m"),
    ("CONFIG_HZ_1000", "y"),
    ("CONFIG_LOG_BUF_SHIFT", "99"),
    ("CONFIG_CRC32", "n"),
    ("CONFIG_CC_IS_CLANG", "y"),
    ("CONFIG_INFINIBAND_MTHCA", "m"),
    ("CONFIG_M486", "y"),
    ("CONFIG_BT_HCIBTUSB", "m"),
    ("CONFIG_IWLWIFI", "m"),
    ("CONFIG_PHYSICAL_ALIGN", "0x123"),
    ("CONFIG_NR_CPUS", "0x40"),
    ("CONFIG_GENERIC_CPU3", "y"),
    ("CONFIG_DRM_PANEL", "m"),
    ("CONFIG_MISSPELT_SYMBOL", "n"),
    ("CONFIG_ANOTHER_UNKNOWN", "n"),
    ("CONFIG_OF_ANOTHER_VERSION", "n"),
];

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let work = bench.work.join("kernel");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
    let mut progress = Progress::new(false, 4);
    let workshop = Workshop::open(&bench.cache, &Origin::default(), &mut progress)?;
    let mut text = String::from("## Kernel configurations\n\n");
    text.push_str(&speed(bench, &workshop, &work)?);
    text.push_str(&losses(bench, &workshop, &work)?);
    Ok(text)
}

/// The section of kernels that were built.
pub fn measure_built(bench: &Bench) -> Result<String, Error> {
    Ok(format!("## Kernels of the editions\n{}{}", own::measure(bench)?, latency::measure(bench)?))
}

fn wrong(problem: impl ToString) -> Error {
    Error::Format { what: "the benchmark of kernel configurations".into(), problem: problem.to_string() }
}

/// All editions, with nothing of the answers kept.
fn speed(bench: &Bench, workshop: &Workshop, work: &Path) -> Result<String, Error> {
    let specs = Spec::all().map_err(wrong)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        forget(&bench.cache)?;
        ours.push(timed(|| check(bench, &bench.workspace.join("kernel-configs"), None).map(drop))?.1);
        let shell = || specs.iter().try_for_each(|spec| shell(bench, workshop, work, spec, &[]).map(drop));
        theirs.push(timed(shell)?.1);
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let mut text = format!(
        "All {} editions, one round; ours judges the hardening too, and keeps nothing of an earlier \
         check but the kernel's compiled configuration programs, which the shell has as well.\n\n",
        specs.len()
    );
    let row = |name: &str, seconds: f64| vec![name.to_owned(), report::seconds(seconds)];
    let rows =
        [row("`aegis kernel check --all`", ours), row("`merge_config.sh`, `olddefconfig`, `grep`", theirs)];
    text.push_str(&report::table(&["what", "time"], &rows));
    Ok(text + "\n" + &report::at_least("time of the shell to ours", theirs / ours, 1.0))
}

/// Removes what earlier checks found out.
fn forget(cache: &Cache) -> Result<(), Error> {
    for stage in ["kconfig", "hardening"] {
        let path = cache.directory("stages")?.join(stage);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What our check says; findings are no failure here.
fn check(bench: &Bench, layers: &Path, edition: Option<&str>) -> Result<String, Error> {
    let mut command = Command::new(&bench.aegis);
    command.current_dir(&bench.workspace).args(["kernel", "check", "--offline", "--layers"]).arg(layers);
    match edition {
        Some(edition) => command.args(["--edition", edition]),
        None => command.arg("--all"),
    };
    let output = command.output().map_err(Error::io("start", &bench.aegis))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// What the kernel's own script says of an edition's layers as plain fragments.
fn shell(
    bench: &Bench,
    workshop: &Workshop,
    work: &Path,
    spec: &Spec,
    planted: &[(&str, &str)],
) -> Result<String, Error> {
    let room = work.join("shell");
    let programs = work.join("programs");
    if !programs.exists() {
        fs::create_dir_all(&programs).map_err(Error::io("create", &programs))?;
        fs::write(programs.join(".config"), &workshop.base).map_err(Error::io("write", &programs))?;
        run("make", workshop.make(Room::empty(&programs)).args(["-s", "olddefconfig"]))?;
    }
    let _ = fs::remove_dir_all(&room);
    run("cp", Command::new("cp").args(["--archive", "--no-target-directory"]).arg(&programs).arg(&room))?;
    fs::write(room.join("base"), &workshop.base).map_err(Error::io("write", &room))?;
    let mut names = vec!["base".to_owned()];
    for (number, name) in configure::layers_of(spec).iter().enumerate() {
        let layer = Layer::read(&bench.workspace.join("kernel-configs"), name).map_err(wrong)?;
        let asked = layer.requests.iter().filter(|request| request.applies_to(workshop.version));
        let lines: String = asked.map(|request| dotconfig::line(&request.symbol, &request.value)).collect();
        names.push(format!("{number}.config"));
        fs::write(room.join(format!("{number}.config")), lines).map_err(Error::io("write", &room))?;
    }
    let lines: String = planted.iter().map(|(symbol, value)| format!("{symbol}={value}\n")).collect();
    fs::write(room.join("planted"), lines).map_err(Error::io("write", &room))?;
    names.push("planted".into());
    // The script calls `make` in the source's directory, for the build in ours, and then looks for each request.
    let script = format!(
        "cd /build && ARCH=x86_64 /src/scripts/kconfig/merge_config.sh -Q -m -O /build {names} >/dev/null && \
         make -s -C /src O=/build ARCH=x86_64 olddefconfig && \
         cat {asked} | while IFS= read -r line; do grep -q -x -F -e \"$line\" .config || echo \"lost: $line\"; done",
        names = names.join(" "),
        asked = names[1..].join(" "),
    );
    let mut command = workshop.command(Room::empty(&room), "sh");
    run("merge_config.sh", command.args(["-c", &script]))
}

/// Requests that lose themselves, and who finds them.
fn losses(bench: &Bench, workshop: &Workshop, work: &Path) -> Result<String, Error> {
    let spec = Spec::load(aegis_core::edition::Edition::Server).map_err(wrong)?;
    let layers = work.join("layers");
    run(
        "cp",
        Command::new("cp").arg("--recursive").arg(bench.workspace.join("kernel-configs")).arg(&layers),
    )?;
    let path = layers.join("edition/server.config");
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let lines: String =
        PLANTED.iter().map(|(symbol, value)| format!("{symbol}={value} # planted\n")).collect();
    fs::write(&path, format!("{text}\n{lines}")).map_err(Error::io("write", &path))?;
    let ours = check(bench, &layers, Some("server"))?;
    let theirs = shell(bench, workshop, work, &spec, &PLANTED)?;
    // `grep` knows `n` only as a comment, which fragments may have too; a line with `=n` it calls lost though it is not.
    let found = |said: &str, symbol: &str| {
        said.lines().any(|line| {
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == symbol)
        })
    };
    let missed = |said: &str| {
        PLANTED
            .iter()
            .filter(|(symbol, _)| !found(said, symbol))
            .map(|(symbol, _)| *symbol)
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (missed(&ours), missed(&theirs));
    let count = |missed: &[&str]| PLANTED.len() - missed.len();
    let mut text = format!(
        "\nRequests that lose themselves, planted into the server's last layer: ours names {} of {}, the shell {} ({}).\n",
        count(&ours),
        PLANTED.len(),
        count(&theirs),
        if theirs.is_empty() { "all".to_owned() } else { format!("not {}", theirs.join(", ")) },
    );
    if !ours.is_empty() {
        text.push_str(&format!("Ours does not name {}.\n", ours.join(", ")));
    }
    Ok(text + &report::at_least("planted losses that ours names", count(&ours) as f64, PLANTED.len() as f64))
}

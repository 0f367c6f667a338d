//! The boot as a sequence of stages. Each stage owns what the next one needs, so none can be entered too early.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use aegis_core::{
    cmdline::{BootParams, Check, OnFailure, Target},
    key::PublicKey,
    slot::Slot,
};

use crate::{
    drivers::{self, Drivers},
    error::Error,
    handover,
    hardware::Hardware,
    image::{Source, VERITY_NAME, Verity},
    license, log, persistence,
    record::{self, Timing},
    rescue::{self, Choice},
    root::{self, IMAGE, MEDIUM, NEW_ROOT, Undo},
    search::{self, Found, Place, Seen, Settings},
    sys::{device_mapper, mount, process},
};

const KEYS: &str = "/aegis/keys.json";
const RELEASE: &str = "/aegis/release";
const LOAD_LIST: &str = "/aegis/modules.load";
/// A driver that is starting may delay the handover for this long.
const DRIVER_LIMIT: Duration = Duration::from_secs(5);

/// What is done next, with what is known by then.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Mount the kernel's file systems and read what to boot; `slot` overrides the command line's.
    Prepare { slot: Option<Slot> },
    /// Load the modules that no device asks for.
    Modules(Settings),
    /// Find the medium or slot.
    Search(Settings),
    /// Check that the image is whole.
    Check(Settings, Found),
    /// Put dm-verity over it.
    Verity(Found, Source),
    /// Mount it.
    Mount(Found, Verity),
    /// Complete the new root.
    Assemble(Found),
    /// Start the system.
    HandOver(Found),
}

impl Stage {
    /// The name in `boot.json`.
    fn name(&self) -> &'static str {
        match self {
            Self::Prepare { .. } => "prepare",
            Self::Modules(_) => "modules",
            Self::Search(_) => "search",
            Self::Check(..) => "check",
            Self::Verity(..) => "verity",
            Self::Mount(..) => "mount",
            Self::Assemble(_) => "assemble",
            Self::HandOver(_) => "hand-over",
        }
    }
}

/// What lasts from one attempt to the next.
#[derive(Debug, Default)]
pub(crate) struct Boot {
    hardware: Option<Hardware>,
    seen: Seen,
    undo: Vec<Undo>,
    timings: Vec<Timing>,
    target: Option<Target>,
    keys: Vec<PublicKey>,
    on_failure: OnFailure,
    rescue_shown: bool,
    /// A live system uses the partition that keeps what is changed.
    persistence: bool,
    /// It does.
    kept: bool,
}

impl Boot {
    /// Goes from stage to stage. Returns to the first after a failure, as the person or the command line wants it.
    pub(crate) fn run(mut self) -> ! {
        let mut stage = Stage::Prepare { slot: None };
        loop {
            let (name, start) = (stage.name(), Instant::now());
            match self.step(stage) {
                Ok(next) => {
                    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.timings.push(Timing { stage: name, ms });
                    stage = next;
                }
                Err(error) => {
                    rescue::report_failure(&error, &self.seen);
                    let choice = rescue::after_failure(self.on_failure, self.target.as_ref());
                    stage = self.restart(choice);
                }
            }
        }
    }

    /// Undoes the mounts of an attempt and begins another.
    fn restart(&mut self, choice: Choice) -> Stage {
        if let Choice::End(end) = choice {
            rescue::end(end);
        }
        self.timings.clear();
        while let Some(undo) = self.undo.pop() {
            let (what, result) = match undo {
                Undo::Unmount(path) => (path, mount::unmount(Path::new(path))),
                Undo::RemoveVerity => (VERITY_NAME, device_mapper::remove(VERITY_NAME)),
            };
            if let Err(error) = result {
                log::warning(&format!("cannot undo {what}: {error}"));
            }
        }
        Stage::Prepare { slot: slot_after(choice, self.target.as_ref()) }
    }

    fn step(&mut self, stage: Stage) -> Result<Stage, Error> {
        match stage {
            Stage::Prepare { slot } => self.prepare(slot),
            Stage::Modules(settings) => self.load_modules(settings),
            Stage::Search(settings) => self.search(settings),
            Stage::Check(settings, found) => check(&settings, found),
            Stage::Verity(found, source) => self.open_verity(found, &source),
            Stage::Mount(found, verity) => self.mount(found, &verity),
            Stage::Assemble(found) => self.assemble(found),
            Stage::HandOver(found) => self.hand_over(&found),
        }
    }

    fn prepare(&mut self, slot: Option<Slot>) -> Result<Stage, Error> {
        root::mount_basics()?;
        let cmdline = read("/proc/cmdline")?;
        // Wanted even when the rest of the line cannot be used.
        if cmdline.split_ascii_whitespace().any(|word| word == "aegis.fail=reboot") {
            self.on_failure = OnFailure::Reboot;
        }
        let kernel = running_kernel()?;
        // Before anything else can fail: a USB keyboard needs its drivers for the rescue menu.
        if self.hardware.is_none() {
            self.hardware = Some(Hardware::start(Drivers::open(&kernel)?)?);
        }
        let (mut params, unknown) = BootParams::parse(&cmdline).map_err(Error::Cmdline)?;
        unknown.iter().for_each(|word| log::warning(&format!("the parameter {word} is not known")));
        if let (Target::Installed { slot: target, .. }, Some(slot)) = (&mut params.target, slot) {
            *target = slot;
        }
        self.on_failure = params.on_failure;
        self.target = Some(params.target);
        self.persistence = params.persistence;
        log::info(&format!("version {}, kernel {kernel}, {params}", env!("CARGO_PKG_VERSION")));
        let keys: Vec<PublicKey> = serde_json::from_str(&read(KEYS)?).map_err(Error::KeyRing)?;
        self.keys.clone_from(&keys);
        if params.rescue && !std::mem::replace(&mut self.rescue_shown, true) {
            let choice = rescue::ask("start", rescue::other_slot(self.target.as_ref()));
            return Ok(self.restart(choice));
        }
        Ok(Stage::Modules(Settings { params, keys, kernel }))
    }

    fn load_modules(&mut self, settings: Settings) -> Result<Stage, Error> {
        let list = read(LOAD_LIST)?;
        drivers::parse_load_list(&list).for_each(|name| self.load(name));
        let for_target: &[&str] = match settings.params.target {
            Target::Medium(_) => &["loop", "isofs"],
            Target::Installed { .. } => &["ext4"],
        };
        for_target.iter().for_each(|name| self.load(name));
        Ok(Stage::Search(settings))
    }

    fn load(&self, module: &str) {
        if let Some(hardware) = &self.hardware {
            hardware.drivers.load(module);
        }
    }

    fn search(&mut self, settings: Settings) -> Result<Stage, Error> {
        let Some(hardware) = &self.hardware else { return Ok(Stage::Prepare { slot: None }) };
        root::make_directory(MEDIUM)?;
        let found = search::search(&settings, hardware, &mut self.seen)?;
        if matches!(found.place, Place::Medium(_)) {
            self.undo.push(Undo::Unmount(MEDIUM));
        }
        Ok(Stage::Check(settings, found))
    }

    fn open_verity(&mut self, found: Found, source: &Source) -> Result<Stage, Error> {
        let verity = source.open_verity(&found.release.manifest)?;
        self.undo.push(Undo::RemoveVerity);
        Ok(Stage::Mount(found, verity))
    }

    fn mount(&mut self, found: Found, verity: &Verity) -> Result<Stage, Error> {
        self.load(found.release.manifest.image.kind.id());
        let target = match found.place {
            Place::Medium(_) => IMAGE,
            Place::Slot { .. } => NEW_ROOT,
        };
        root::make_directory(target)?;
        verity.mount(&found.release.manifest, Path::new(target), || self.undo.push(Undo::Unmount(target)))?;
        Ok(Stage::Assemble(found))
    }

    fn assemble(&mut self, found: Found) -> Result<Stage, Error> {
        match &found.place {
            Place::Medium(medium) => {
                let kept = if self.persistence {
                    self.load("ext4");
                    persistence::mount(medium, found.release.manifest.id)
                } else {
                    None
                };
                self.kept = kept.is_some();
                root::assemble_live(kept, &mut self.undo)?;
            }
            Place::Slot { data, .. } => root::assemble_installed(data, &mut self.undo)?,
        }
        Ok(Stage::HandOver(found))
    }

    fn hand_over(&mut self, found: &Found) -> Result<Stage, Error> {
        if let Some(hardware) = &self.hardware {
            hardware.stop(DRIVER_LIMIT);
        }
        record::write(found, self.kept, &self.keys, license::judge(found, &self.keys), &self.timings)?;
        match handover::hand_over()? {}
    }
}

/// The slot of the next attempt; `None` leaves it to the command line.
fn slot_after(choice: Choice, target: Option<&Target>) -> Option<Slot> {
    match (choice, target) {
        (Choice::OtherSlot(slot), _) => Some(slot),
        (_, Some(Target::Installed { slot, .. })) => Some(*slot),
        _ => None,
    }
}

fn check(settings: &Settings, found: Found) -> Result<Stage, Error> {
    let mut source = Source::open(&found)?;
    if settings.params.check == Check::Full {
        source.check_digest(&found.release.manifest)?;
    }
    Ok(Stage::Verity(found, source))
}

/// The running kernel's release, which must be the one that the modules are for.
fn running_kernel() -> Result<String, Error> {
    let running = process::kernel_release().map_err(|e| Error::os("ask", "the kernel's release", e))?;
    let expected = read(RELEASE)?.trim().to_string();
    if running == expected {
        return Ok(running);
    }
    Err(Error::Kernel { running, expected, place: "the initramfs".to_string() })
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::os("read", path, e))
}

#[cfg(test)]
mod tests {
    use aegis_core::install::InstallId;

    use super::*;

    #[test]
    fn an_attempt_keeps_its_slot_until_another_is_chosen() {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        let installed = Target::Installed { id, slot: Slot::B };
        assert_eq!(slot_after(Choice::Retry, Some(&installed)), Some(Slot::B));
        assert_eq!(slot_after(Choice::OtherSlot(Slot::A), Some(&installed)), Some(Slot::A));
        assert_eq!(slot_after(Choice::Retry, Some(&Target::Medium(id.0))), None);
        assert_eq!(slot_after(Choice::Retry, None), None);
    }
}

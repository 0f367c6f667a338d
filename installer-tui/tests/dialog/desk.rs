//! A person at a bench with a hub full of sticks: sends keys, and answers commands as the runner does, without touching
//! anything.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use aegis_core::hex::Digest;
use aegis_hw::{Bytes, Tree, inventory::Inventory, tree::Recording};
use aegis_installer::flash::{
    Event as Progress, FlashPlan, Outcome, Phase,
    dialog::{
        screen::{Place, Screen},
        state::{Command, Event, State, update},
        world::{self, Device, Found, World},
    },
    image::{Authority, ImageFile},
    plan::Wishes,
};
use aegis_installer::tui::keys::Key;

const SHA256: &str = "5ffaa475f396a6dc53e8a387236edebd3ca6acc48ae0edce9e4b3d5b389e87c8";

pub(crate) struct Desk {
    pub(crate) state: State,
    pub(crate) written: Option<Box<FlashPlan>>,
    pub(crate) left: Option<u8>,
    pub(crate) stopped: u32,
    pub(crate) reads: u32,
    /// What a desktop mounted can be chosen.
    unmount: bool,
    tree: Tree,
}

/// A directory with images, which all tests stand in, so that pictures have the same paths everywhere.
fn stand_among_images() {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = tempfile::tempdir().unwrap().keep();
        env::set_current_dir(&place).unwrap();
        File::create("aegis-server-0.1.0.iso").unwrap().set_len(700 << 20).unwrap();
        File::create("large.img").unwrap().set_len(40 << 30).unwrap();
        fs::write("SHA256SUMS", format!("{SHA256}  aegis-server-0.1.0.iso\n")).unwrap();
        place
    });
}

pub(crate) fn complete() -> Outcome {
    let sha256 = Digest::parse(SHA256).unwrap();
    Outcome::Complete { length: 700 << 20, skipped: 0, sha256, written: 700 << 20, ms: 34_500 }
}

impl Desk {
    /// Twenty sticks: `sda` has pictures on it, `sdb` and most others are blank, `sdc` is encrypted, `sdd` is mounted, and the
    /// last one has the number of the one before. The machine's own disk is there too.
    pub(crate) fn bench() -> Self {
        stand_among_images();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/usb-hub-20.machine");
        let mut machine = Recording::parse(&fs::read(fixture).unwrap()).unwrap();
        let mut udev = |device: &str, text: &str| {
            machine.put(&format!("/run/udev/data/b8:{device}"), text.as_bytes()).unwrap();
        };
        udev("0", "E:ID_FS_TYPE=vfat\nE:ID_FS_LABEL_ENC=\u{202e}HOLIDAY\\x20\\x1b[2J\n");
        udev("32", "E:ID_FS_TYPE=crypto_LUKS\n");
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n\
                      25 1 8:48 / /media/ada/PHOTOS rw - vfat /dev/sdd rw\n";
        machine.put("/proc/self/mountinfo", mounts.as_bytes()).unwrap();
        Self::at(machine)
    }

    /// The same bench below a desktop, whose mounts are taken away.
    pub(crate) fn desktop() -> Self {
        Self { unmount: true, ..Self::bench() }
    }

    fn at(machine: Recording) -> Self {
        let found =
            |path: &str| Found { path: path.into(), size: Bytes(Path::new(path).metadata().unwrap().len()) };
        let images = ["aegis-server-0.1.0.iso", "large.img"].map(found).to_vec();
        let tree = Tree::recorded(machine);
        let world = World { images, devices: devices(&tree, Bytes(1), false) };
        let state = State::new(world, None);
        Self { state, written: None, left: None, stopped: 0, reads: 0, unmount: false, tree }
    }

    pub(crate) fn plan(&self, image: &ImageFile, devices: &[PathBuf]) -> FlashPlan {
        FlashPlan::new(
            &self.tree,
            image.clone(),
            devices,
            &BTreeSet::new(),
            Wishes { unmount: self.unmount, update: false },
        )
        .unwrap()
    }

    /// Sends a key and returns what it led to, without doing it.
    pub(crate) fn commands(&mut self, key: Key) -> Vec<Command> {
        let (state, commands) = update(self.state.clone(), Event::Key(key));
        self.state = state;
        commands
    }

    pub(crate) fn key(&mut self, key: Key) -> &mut Self {
        self.send(Event::Key(key))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(Key::Char(c));
        }
        self
    }

    pub(crate) fn send(&mut self, event: Event) -> &mut Self {
        let (state, commands) = update(self.state.clone(), event);
        self.state = state;
        for command in commands {
            match command {
                Command::Look(path) => {
                    let looked = ImageFile::look(&path, &Authority::Beside).map(Box::new);
                    self.send(Event::Looked(looked.map_err(|error| error.to_string())));
                }
                Command::ReadDevices(needed) => {
                    self.reads += 1;
                    let devices = devices(&self.tree, needed, self.unmount);
                    self.send(Event::Devices(devices));
                }
                Command::Plan(image, devices) => {
                    let plan = self.plan(&image, &devices);
                    self.send(Event::Planned(Ok(Box::new(plan))));
                }
                Command::Write(plan) => self.written = Some(plan),
                Command::Stop => self.stopped += 1,
                Command::Leave(code) => self.left = Some(code),
                Command::Redraw => {}
            }
        }
        self
    }

    /// Accepts the first image.
    pub(crate) fn image(&mut self) -> &mut Self {
        assert_eq!(self.state.screen.place(), Place::Image);
        self.key(Key::Enter);
        assert_eq!(self.state.screen.place(), Place::Devices, "{:?}", self.state.notice);
        self
    }

    /// Moves to each of these devices and presses Space.
    pub(crate) fn choose(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            let at = |device: &Device| device.target().path.ends_with(name);
            let wanted = self.state.world.devices.iter().position(at).unwrap();
            self.key(Key::Home);
            for _ in 0..wanted {
                self.key(Key::Down);
            }
            self.key(Key::Char(' '));
        }
        self
    }

    /// Writes the first image to blank sticks.
    pub(crate) fn write(&mut self, names: &[&str]) -> &mut Self {
        self.image().choose(names).key(Key::Enter).key(Key::Enter).key(Key::Down).key(Key::Enter);
        assert!(matches!(self.state.screen, Screen::Work(_)));
        self
    }

    /// A report, in mebibytes.
    pub(crate) fn progress(
        &mut self,
        device: usize,
        phase: Phase,
        mib: u64,
        total: Option<u64>,
    ) -> &mut Self {
        let moving = matches!(phase, Phase::Write | Phase::Verify);
        let event = Progress {
            device,
            seq: 0,
            phase,
            bytes: mib << 20,
            total: total.map(|mib| mib << 20),
            rate: if moving { 21_000_000 + 1_500_000 * device as u64 } else { 0 },
            eta: total.filter(|_total| moving).map(|total| (total - mib) / 20),
            waits: None,
        };
        self.send(Event::Progress(event))
    }
}

fn devices(tree: &Tree, needed: Bytes, unmount: bool) -> Vec<Device> {
    let Inventory { disks, systems, .. } = Inventory::read(tree).unwrap();
    world::devices(disks, &systems, &BTreeSet::new(), needed, unmount)
}

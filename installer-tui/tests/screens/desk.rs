//! A person at the screens: sends keys, and answers commands as the runner does, without touching anything.

use std::{collections::BTreeMap, fs, path::PathBuf};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::Hex,
    install::InstallId,
    manifest::{File, Image, ImageKind, Manifest, path},
};
use aegis_hw::{
    Bytes, Tree,
    gpu::{self, Names},
    inventory::{Disk, Partition, Transport, Use},
    tree::Roots,
};
use aegis_installer::{
    accounts::Accounts,
    answers::Keyboard,
    config::Seed,
    graphics,
    live::Afterwards,
    offers::Offers,
    plan::{self, InstallPlan},
    source::{Features, Paths, Source},
    tui::{
        keys::Key,
        screen::{Place, Screen},
        state::{Command, Event, State, update},
        world::{Candidate, World},
    },
};

pub(crate) const HASH: &str = "$6$abcdefghijklmnop$hash";

pub(crate) struct Desk {
    pub(crate) state: State,
    pub(crate) applied: Option<Box<InstallPlan>>,
    pub(crate) left: Option<(Option<Afterwards>, u8)>,
    pub(crate) stopped: u32,
    pub(crate) disks_read: u32,
    pub(crate) refuse_plan: bool,
    source: Source,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let source = source();
        let mut world = World::of(&source);
        world.disks = disks().iter().map(|d| Candidate::new(d, &d.refusals(["sdb"], world.needed))).collect();
        world.interfaces = vec!["enp1s0".into()];
        world.live = true;
        let state = State::new(world);
        Self { state, applied: None, left: None, stopped: 0, disks_read: 0, refuse_plan: false, source }
    }

    pub(crate) fn place(&self) -> Place {
        self.state.screen.place()
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
                Command::Hash(secret) => {
                    assert!(!secret.reveal().is_empty());
                    self.send(Event::Hashed(HASH.into()));
                }
                Command::Plan(_, _) if self.refuse_plan => {
                    self.send(Event::Planned(Err("error: refused".into())));
                }
                Command::Plan(answers, target) => {
                    let seed = Seed {
                        install: InstallId(Hex([0x11; 16])),
                        machine_id: Hex([0x22; 16]),
                        now: 1_760_000_000,
                    };
                    let plan = plan::plan(&self.source, &answers, target, &seed, graphics()).unwrap();
                    self.send(Event::Planned(Ok(Box::new(plan))));
                }
                Command::Apply(plan) => self.applied = Some(plan),
                Command::Stop => self.stopped += 1,
                Command::Leave { afterwards, code } => self.left = Some((afterwards, code)),
                Command::ReadDisks => self.disks_read += 1,
                Command::UseKeyboard(_) | Command::Redraw => {}
            }
        }
        self
    }

    /// Answers every screen up to one.
    pub(crate) fn to(&mut self, place: Place) -> &mut Self {
        while self.place() < place {
            self.answer();
        }
        self
    }

    /// Accepts what was answered before, from one screen up to the summary.
    pub(crate) fn through(&mut self, from: Place) -> &mut Self {
        assert_eq!(self.place(), from);
        for _ in 0..20 {
            if self.place() != Place::Summary {
                self.key(Key::Enter);
            }
        }
        self
    }

    fn answer(&mut self) {
        match self.place() {
            Place::Language | Place::Edition | Place::Host => self.key(Key::Enter),
            Place::Keyboard => self.text("german").key(Key::Enter),
            Place::Zone => self.text("berlin").key(Key::Enter),
            Place::Disk => self.key(Key::Down).key(Key::Enter),
            Place::User => {
                self.text("Ada Lovelace").key(Key::Enter).text("ada").key(Key::Enter);
                self.text("correct horse").key(Key::Enter).text("correct horse").key(Key::Enter)
            }
            Place::Network => self.key(Key::Tab).key(Key::Enter),
            Place::Summary => match &self.state.screen {
                Screen::Consent(consent) => {
                    let token = consent.plan.target.token.clone();
                    self.text(&token).key(Key::Enter)
                }
                _ => self.key(Key::Enter),
            },
            Place::Work => self.send(Event::Finished(Ok(()))),
            Place::Done => panic!("the end"),
        };
    }
}

/// What a laptop with two cards shows, one of them with a hostile name.
fn graphics() -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    for (address, vendor, device) in
        [("0000:00:02.0", "0x8086", "0x46a6"), ("0000:01:00.0", "0x10de", "0x2684")]
    {
        let at = place.path().join("bus/pci/devices").join(address);
        fs::create_dir_all(&at).unwrap();
        for (file, content) in [("class", "0x030000"), ("vendor", vendor), ("device", device)] {
            fs::write(at.join(file), content).unwrap();
        }
    }
    let tree = Tree::live(Roots { sysfs: place.path().into(), ..Roots::default() });
    let names = Names::parse("10de  NVIDIA\n\t2684  AD102 [\u{202e}0904 XTR\u{1b}[2J]\n");
    let packages = ["firmware-intel-graphics", "intel-media-va-driver", "libgl1-mesa-dri"].map(String::from);
    graphics::lines(&gpu::gpus(&tree, &names).unwrap(), &packages)
}

fn disks() -> Vec<Disk> {
    let disk = |name: &str, gib: u64, model: &str, serial: &str, transport| Disk {
        name: name.into(),
        node: PathBuf::from("/dev").join(name),
        size: Bytes(gib << 30),
        logical_sector: 512,
        physical_sector: 4096,
        model: Some(model.into()),
        serial: Some(serial.into()),
        removable: transport == Transport::Usb,
        transport,
        diskseq: Some(1),
        uses_known: true,
        ..Disk::default()
    };
    let mut nvme = disk("nvme0n1", 931, "Samsung SSD 990 PRO 1TB", "S6B0NL0W", Transport::Nvme);
    nvme.partitions = vec![
        partition("nvme0n1p1", 1, 1 << 20, Bytes(100 << 20)),
        partition("nvme0n1p2", 2, 1 << 28, Bytes(930 << 30)),
    ];
    let sda = disk("sda", 4000, "WDC WD40EFRX", "WD-123", Transport::Ata);
    let mut used = disk("sdc", 500, "Hostile \u{202e}name\x1b[2J", "X", Transport::Ata);
    used.uses.push(Use::Holder { device: "sdc1".into(), through: Vec::new(), by: "vg-home".into() });
    let stick = disk("sdb", 8, "SanDisk Ultra", "4C530001", Transport::Usb);
    vec![nvme, sda, used, stick]
}

fn partition(name: &str, number: u32, start: u64, size: Bytes) -> Partition {
    Partition { name: name.into(), number, start, size, ..Partition::default() }
}

fn source() -> Source {
    let sizes = [
        (path::IMAGE, 700 << 20),
        (path::KERNEL, 12 << 20),
        (path::INITRAMFS, 30 << 20),
        (path::BIOS_BOOT_SECTOR, 512),
        (path::BIOS_CORE, 40_000),
        (path::SHIM, 950_000),
        (path::GRUB_EFI, 2_600_000),
        (path::MOK_MANAGER, 850_000),
    ];
    let file = |(path, size): (&str, u64)| (path.to_string(), File { size, sha256: Hex([9; 32]) });
    let manifest = Manifest {
        format: Manifest::FORMAT,
        id: Hex([1; 16]),
        edition: Edition::Server,
        version: "0.1.0".parse().expect("it is a version"),
        channel: Channel::Stable,
        epoch: 1_760_000_000,
        kernel: "6.12.48+deb13-amd64".into(),
        image: Image {
            kind: ImageKind::Squashfs,
            data_size: 690 << 20,
            size: 700 << 20,
            salt: Hex([2; 32]),
            root_hash: Hex([3; 32]),
        },
        files: sizes.into_iter().map(file).collect::<BTreeMap<_, _>>(),
        inputs: BTreeMap::new(),
    };
    let mut edition = aegis_editions::Spec::load(Edition::Server).unwrap();
    // Pictures that do not change when the specification does.
    edition.tagline = "A system without a screen".into();
    edition.disk.slot_mib = 1536;
    edition.disk.minimum_mib = 8192;
    edition.serial_console = true;
    let keyboard = |layout: &str, variant: &str, name: &str| {
        (Keyboard { layout: layout.into(), variant: variant.into() }, name.to_string())
    };
    let zones = ["America/New_York", "Asia/Tokyo", "Etc/UTC", "Europe/Berlin", "Europe/Paris"];
    Source {
        paths: Paths { medium: "/medium".into(), state: "/state".into(), image_root: "/image".into() },
        manifest_bytes: manifest.to_bytes(),
        signature_bytes: b"{}".to_vec(),
        manifest,
        edition,
        accounts: Accounts {
            passwd: "root:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/:/bin/false\n".into(),
            group: "root:x:0:\nsudo:x:27:\n".into(),
            ..Accounts::default()
        },
        features: Features::default(),
        offers: Offers {
            locales: ["C.UTF-8", "de_DE.UTF-8", "en_US.UTF-8"].map(String::from).into(),
            keyboards: vec![
                keyboard("us", "", "English (US)"),
                keyboard("de", "", "German"),
                keyboard("de", "nodeadkeys", "German (no dead keys)"),
            ],
            zones: zones.map(String::from).into(),
        },
    }
}

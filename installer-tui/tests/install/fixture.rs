//! A medium, an image and a machine as files in a temporary directory.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aegis_core::{
    channel::Channel,
    crypto::Sha256,
    edition::Edition,
    hex::Hex,
    manifest::{File, Image, ImageKind, Manifest},
};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// A core image of three sectors whose block list has its length filled in, as grub-mkimage leaves it.
pub(crate) const CORE: [u8; 1536] = {
    let mut core = [0x5a; 1536];
    let list = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08];
    let mut i = 0;
    while i < 12 {
        core[0x1f4 + i] = list[i];
        i += 1;
    }
    core
};

const ANSWERS: &str = r#"
confirm = "aegis-test.img"
language = "de_DE.UTF-8"
timezone = "Europe/Berlin"
hostname = "aegis-box"
[user]
name = "ada"
full_name = "Ada Lovelace"
password = "correct horse"
[network]
mode = "static"
interface = "enp1s0"
address = "192.0.2.10/24"
gateway = "192.0.2.1"
[ssh]
authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ada@example"]
"#;

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../core/tests/vectors/licenses.json")).expect("it is JSON")
}

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        fixture.image();
        fixture.medium();
        fs::create_dir_all(fixture.path("sys/block")).unwrap();
        fs::create_dir(fixture.path("staging")).unwrap();
        fixture.write("proc/self/mountinfo", "1 0 0:1 / / rw - tmpfs tmpfs rw\n");
        fixture.write("state/keys.json", vectors()["keys"].to_string());
        fixture
    }

    /// A file with a license for an edition, made by an independent implementation.
    pub(crate) fn license(&self, edition: &str) -> PathBuf {
        let vectors = vectors();
        let named = |vector: &&serde_json::Value| vector["name"] == format!("edition {edition}");
        let found = vectors["good"].as_array().and_then(|all| all.iter().find(named)).expect("there is one");
        let name = format!("license-{edition}");
        self.write(&name, found["armour"].as_str().expect("it is text"));
        self.path(&name)
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn image(&self) {
        let spec = aegis_editions::Spec::load(Edition::Server).unwrap();
        self.write("image/usr/lib/aegis/edition.json", serde_json::to_vec(&spec).unwrap());
        self.write("image/usr/sbin/NetworkManager", "");
        self.write(
            "image/etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n",
        );
        self.write("image/etc/group", "root:x:0:\nsudo:x:27:\nshadow:x:42:\nwww-data:x:33:\n");
        self.write("image/etc/shadow", "root:*:20000:0:99999:7:::\n");
        self.write("image/etc/gshadow", "root:*::\nsudo:*::\n");
        self.write("image/etc/skel/.profile", "# profile\n");
        fs::create_dir_all(self.path("image/etc/NetworkManager/system-connections")).unwrap();
        self.mode("image/etc/NetworkManager/system-connections", 0o700);
        self.write("image/var/lib/dpkg/status", "Package: x\n".repeat(1000));
        self.write("image/var/games/score", "1\n");
        chown(self.path("image/var/games/score"), Some(5), Some(60))
            .expect("these tests run as root or in fakeroot");
        self.mode("image/var/games/score", 0o2755);
        xattr::set(self.path("image/var/games/score"), "user.note", b"kept").unwrap();
        symlink("/run", self.path("image/var/run")).unwrap();
        nix::unistd::mkfifo(&self.path("image/var/fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::create_dir(self.path("image/var/tmp")).unwrap();
        self.mode("image/var/tmp", 0o1777);
        self.write("image/root/.bashrc", "");
        self.mode("image/root", 0o700);
    }

    fn medium(&self) {
        let mut image = vec![0u8; 5 * 1024 * 1024];
        image
            .iter_mut()
            .zip(0u32..)
            .for_each(|(byte, i)| *byte = (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        let mut boot = [7u8; 512];
        boot[..4].copy_from_slice(&[0xeb, 0x63, 0x90, 0x90]);
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let text = |name: &str, size: usize| name.bytes().cycle().take(size).collect::<Vec<u8>>();
        let files: [(&str, Vec<u8>); 8] = [
            ("aegis/root.img", image),
            ("aegis/boot/vmlinuz", text("kernel", 300_000)),
            ("aegis/boot/initrd.img", text("initramfs", 20_000_001)),
            ("aegis/loader/boot.img", boot.to_vec()),
            ("aegis/loader/core.img", CORE.to_vec()),
            ("aegis/loader/shimx64.efi", text("shim", 9000)),
            ("aegis/loader/grubx64.efi", text("grub", 9000)),
            ("aegis/loader/mmx64.efi", text("mok", 9000)),
        ];
        let mut listed = BTreeMap::new();
        for (path, content) in files {
            listed.insert(path.into(), File { size: content.len() as u64, sha256: Sha256::of(&content) });
            self.write(&format!("medium/{path}"), content);
        }
        let manifest = Manifest {
            format: Manifest::FORMAT,
            id: Hex([1; 16]),
            edition: Edition::Server,
            version: "0.1.0".parse().unwrap(),
            channel: Channel::Stable,
            epoch: 1_760_000_000,
            kernel: "6.12.48+deb13-amd64".into(),
            image: Image {
                kind: ImageKind::Squashfs,
                data_size: 4 * MIB,
                size: 5 * MIB,
                salt: Hex([2; 32]),
                root_hash: Hex([3; 32]),
            },
            files: listed,
            inputs: BTreeMap::new(),
        };
        self.write("state/manifest.json", manifest.to_bytes());
        self.write("state/manifest.json.sig", "{\"key\":\"0000000000000000\"}");
    }

    /// An empty disk as a sparse file.
    pub(crate) fn disk(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        path
    }

    /// A partition table of somebody else.
    pub(crate) fn former_table(&self, disk: &Path) {
        let status = Command::new("sgdisk").args(["-n", "1:0:+100M"]).arg(disk).output().unwrap().status;
        assert!(status.success());
    }

    pub(crate) fn fake_disk(&self, name: &str, size: u64, serial: &str) {
        self.write(&format!("sys/block/{name}/size"), (size / 512).to_string());
        self.write(&format!("sys/block/{name}/serial"), serial);
        fs::create_dir_all(self.path(&format!("sys/block/{name}/device"))).unwrap();
    }

    /// What a disk of [`Fixture::fake_disk`] says of its alignment.
    pub(crate) fn alignment(&self, name: &str, optimal_io: u64, offset: u64) {
        self.write(&format!("sys/block/{name}/queue/optimal_io_size"), optimal_io.to_string());
        self.write(&format!("sys/block/{name}/alignment_offset"), offset.to_string());
    }

    /// An answer file with changes.
    pub(crate) fn answers(&self, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = ANSWERS.to_string();
        for (from, to) in changes.iter().filter(|(from, _)| !from.is_empty()) {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let path = self.path("answers.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// The program with the paths of this machine.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        for (option, path) in [
            ("--medium", "medium"),
            ("--state", "state"),
            ("--image-root", "image"),
            ("--sysfs-root", "sys"),
            ("--proc-root", "proc"),
            ("--staging", "staging"),
            ("--lock", "lock"),
            ("--undo-file", "undo"),
        ] {
            command.arg(option).arg(self.path(path));
        }
        command
    }

    /// `install` onto a file.
    pub(crate) fn command(&self, disk: &Path) -> Command {
        let mut command = self.program();
        command.arg("install").arg("--answers").arg(self.answers(&[])).arg("--target").arg(disk);
        command
    }

    pub(crate) fn install(&self, disk: &Path, option: &str) -> Output {
        let mut command = self.command(disk);
        if !option.is_empty() {
            command.arg(option);
        }
        command.output().unwrap()
    }

    pub(crate) fn install_with(&self, disk: &Path, changes: &[(&str, &str)]) -> Output {
        let mut command = self.program();
        command.arg("install").arg("--answers").arg(self.answers(changes)).arg("--target").arg(disk);
        command.output().unwrap()
    }
}

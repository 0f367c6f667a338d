//! Kernel configurations: every request is proven, and every way to lose one is found.
//!
//! What builds and starts kernels takes an hour; it is marked as ignored and runs in `make test-all`.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use aegis_core::manifest::path;
use aegis_tests::{
    Error, TestResult, disk, host,
    host::patience,
    iso,
    vm::{Bus, Drive, Firmware, Machine},
};

use crate::live;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn aegis(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(root().join("target/release/aegis"));
    let output = command.current_dir(root()).args(arguments).output().expect("aegis can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Resolves and unpacks once what the tests of this file ask; they need no network then.
fn prepared() {
    static ONCE: OnceLock<(Option<i32>, String, String)> = OnceLock::new();
    let (code, out, err) = ONCE.get_or_init(|| aegis(&["kernel", "check", "--edition", "server"]));
    assert_eq!(*code, Some(0), "{out}{err}");
}

/// A copy of the layers, to spoil.
fn layers() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a directory can be made");
        for entry in fs::read_dir(from).expect("the layers can be read").flatten() {
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            if source.is_dir() {
                copy(&source, &target);
            } else {
                fs::copy(&source, &target).expect("a file can be copied");
            }
        }
    }
    let place = tempfile::tempdir().expect("a directory can be made");
    copy(&root().join("kernel-configs"), place.path());
    place
}

fn append(layers: &Path, lines: &str) {
    let path = layers.join("edition/server.config");
    let text = fs::read_to_string(&path).expect("the layer is there");
    fs::write(path, text + "\n" + lines).expect("the layer can be written");
}

fn check_server(layers: &Path) -> (Option<i32>, String) {
    prepared();
    let layers = layers.display().to_string();
    let (code, out, err) =
        aegis(&["kernel", "check", "--edition", "server", "--layers", &layers, "--offline"]);
    (code, out + &err)
}

#[test]
fn every_edition_has_every_symbol_that_it_asks_for() {
    prepared();
    let (code, out, err) = aegis(&["kernel", "check", "--all", "--json", "--offline"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let events = out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let checked: Vec<_> = events.filter(|event| event["event"] == "checked").collect();
    assert_eq!(checked.len(), 7, "{out}");
    for event in checked {
        let judged = &event["judged"];
        assert!(judged["requests"].as_u64() > Some(500) && judged["requests"] == judged["kept"], "{event}");
    }
}

/// Each line loses its request in another way; what is said of it, or of what it takes with it.
const PLANTED: [(&str, &str); 24] = [
    ("CONFIG_NTSYNC=m # of a newer kernel", "CONFIG_NTSYNC=m became n"),
    ("CONFIG_KVM_AMD_SEVV=y # mistyped", "no CONFIG_KVM_AMD_SEVV; it has KVM_AMD_SEV"),
    ("CONFIG_X86_X32=n # the name of an older kernel", "no CONFIG_X86_X32; it has X86_X32_ABI"),
    ("CONFIG_SND_HDA_INTEL=m # its subsystem is off", "CONFIG_SND_HDA_INTEL=m became n"),
    ("CONFIG_EXT4_DEBUG=m # a bool as a module", "CONFIG_EXT4_DEBUG=m became n"),
    ("CONFIG_HZ_1000=y # another member of a choice", "`Timer frequency` allows one"),
    ("CONFIG_LOG_BUF_SHIFT=99 # outside of its range", "CONFIG_LOG_BUF_SHIFT=99 became 25"),
    ("CONFIG_CRC32=n # others select it", "CONFIG_CRC32=n became y"),
    ("CONFIG_64BIT=n # override: the architecture decides", "CONFIG_64BIT=n became y"),
    ("CONFIG_CC_IS_CLANG=y # the compiler decides", "CONFIG_CC_IS_CLANG=y became n"),
    ("CONFIG_INFINIBAND_MTHCA=m # its subsystem is off", "CONFIG_INFINIBAND_MTHCA=m became n"),
    ("CONFIG_M486=y # of 32 bits", "CONFIG_M486=y became n"),
    ("CONFIG_BT_HCIBTUSB=m # its subsystem is off", "CONFIG_BT_HCIBTUSB=m became n"),
    ("CONFIG_IWLWIFI=m # its subsystem is off", "CONFIG_IWLWIFI=m became n"),
    ("CONFIG_PHYSICAL_ALIGN=0x123 # no multiple", "CONFIG_PHYSICAL_ALIGN=0x123 became 0x200000"),
    ("CONFIG_NR_CPUS=0x40 # a hexadecimal number for a decimal one", "CONFIG_NR_CPUS=0x40 became"),
    ("CONFIG_DAX=m # override: what others need built in", "CONFIG_DAX=m became y"),
    ("CONFIG_USB=m # override: a parent as a module", "CONFIG_USB_XHCI_PCI=y became m"),
    ("", "CONFIG_USB_STORAGE=y became m"),
    ("", "CONFIG_USB_UAS=y became m"),
    (
        "CONFIG_VIRTIO_BLK=m # override, unchecked until 6.12.1: over",
        "the escape for CONFIG_VIRTIO_BLK ended",
    ),
    ("CONFIG_GENERIC_CPU3=y # a symbol of other trees", "this kernel has no CONFIG_GENERIC_CPU3"),
    ("CONFIG_DRM_PANEL=m # a bool that nobody is asked for", "CONFIG_DRM_PANEL=m became"),
    ("", "nobody answers CONFIG_BOOT_CONFIG_FORCE"),
];

#[test]
fn every_planted_loss_is_found_and_explained() {
    let place = layers();
    let lines: Vec<&str> = PLANTED.iter().map(|(line, _)| *line).collect();
    append(place.path(), &lines.join("\n"));
    let base = place.path().join("base.config");
    let text = fs::read_to_string(&base).expect("the layer is there");
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("BOOT_CONFIG_FORCE")).collect();
    fs::write(base, kept.join("\n")).expect("the layer can be written");
    let (code, said) = check_server(place.path());
    assert_eq!(code, Some(1), "{said}");
    for (line, words) in PLANTED {
        assert!(said.contains(words), "{line}: {said}");
    }
    // Each says what to do.
    let findings =
        said.lines().filter(|line| line.starts_with("  ") && !line.trim_start().starts_with("next:")).count();
    let next = said.lines().filter(|line| line.trim_start().starts_with("next:")).count();
    assert!(findings >= PLANTED.len() && next >= findings, "{said}");
}

/// What layers may not say, each with the file and line.
const CONTRADICTIONS: [(&str, &str); 7] = [
    ("CONFIG_VIRTIO_NET=m", "the line does not say why"),
    ("# CONFIG_VIRTIO_NET is not set", "is a comment here"),
    (
        "CONFIG_SQUASHFS=m # without the word",
        "CONFIG_SQUASHFS=m contradicts y of kernel-configs/feature/live.config",
    ),
    ("CONFIG_NEVER_ASKED=y # override: nothing", "replaces nothing"),
    ("CONFIG_VIRTIO_NET=m # unchecked: for ever", "an escape without an end"),
    ("CONFIG_VIRTIO_NET=maybe # no value", "`maybe` is no value"),
    ("CONFIG_CRC64=y # twice\nCONFIG_CRC64=y # twice", "CONFIG_CRC64 is asked for in line"),
];

#[test]
fn layers_that_contradict_themselves_are_refused_by_file_and_line() {
    for (lines, words) in CONTRADICTIONS {
        let place = layers();
        append(place.path(), lines);
        let (code, said) = check_server(place.path());
        assert!(code == Some(1) && said.contains(words), "{lines}: {said}");
        assert!(
            said.contains("kernel-configs/edition/server.config:") && said.contains("next:"),
            "{lines}: {said}"
        );
    }
}

#[test]
fn what_is_missing_is_named_with_the_lines_that_give_it() {
    prepared();
    let explain = |request: &str| {
        let (code, out, err) = aegis(&["kernel", "explain", request, "--edition", "server", "--offline"]);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let said = explain("INFINIBAND_MTHCA=m");
    assert!(
        said.contains("depends on") && said.contains("CONFIG_INFINIBAND=m") && said.contains("gamer"),
        "{said}"
    );
    let said = explain("KVM_AMD_SEV=n");
    assert!(said.contains("kernel-configs/feature/virtualisation.config"), "{said}");
    let (code, _, err) = aegis(&["kernel", "explain", "A B", "--edition", "server"]);
    assert!(code == Some(1) && err.contains("next:"), "{err}");
}

/// The medium with the edition's own kernel.
fn own_medium(edition: &str) -> PathBuf {
    if edition == "gamer" {
        return "/tmp/gamer-iso/aegis-gamer-0.1.0.iso".into();
    }
    let out = format!("target/aegis/own-kernel/{edition}");
    let build = ["iso", "build", "--edition", edition, "--kernel", "edition", "--out", &out];
    let (code, _, err) = aegis(&build);
    assert_eq!(code, Some(0), "{err}");
    let entries = fs::read_dir(root().join(out)).expect("the medium was built").flatten();
    let iso =
        entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|kind| kind == "iso"));
    iso.expect("the medium was built")
}

/// Starts the medium with the edition's own kernel from everything that it may be on, and asks the kernel for its contract.
fn starts_from_everything(edition: &str, memory_mib: u32) -> TestResult {
    let iso = own_medium(edition);
    for (place, firmware, bus) in [
        ("cd", Firmware::Bios, Bus::Cdrom),
        ("stick", Firmware::Uefi, Bus::UsbStick),
        ("nvme", Firmware::Uefi, Bus::Nvme),
        ("virtio", Firmware::Bios, Bus::Virtio),
    ] {
        let medium = Drive::medium(iso.clone(), bus).bootable();
        let machine = Machine::new(&format!("own-kernel-{edition}-{place}")).firmware(firmware);
        let mut vm = machine.memory_mib(memory_mib).drive(medium).start()?;
        vm.serial.expect("check this medium, then start", patience(180))?;
        live::reach_installer(&mut vm)?;
        let mut shell = live::root_shell(&mut vm)?;
        assert!(shell.run("uname -r")?.ends_with(&format!("-aegis-{edition}")));
        assert!(shell.run("aegis-kernel check")?.contains("are kept"));
        vm.cut_power()?;
    }
    Ok(())
}

#[test]
#[ignore = "a kernel is built for an hour; make test-all"]
fn the_server_s_own_kernel_starts_and_keeps_its_promises() -> TestResult {
    starts_from_everything("server", 1024)
}

#[test]
#[ignore = "a kernel is built for hours; make test-all"]
fn the_gamer_s_own_kernel_starts_and_keeps_its_promises() -> TestResult {
    starts_from_everything("gamer", 4096)
}

/// Brings `virt-fw-vars`.
fn firmware_tools() -> TestResult {
    let output = Command::new(root().join("tests/setup")).arg("firmware").current_dir(root()).output();
    let output = output.map_err(Error::io("start", "tests/setup"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
#[ignore = "a kernel is built for an hour; make test-all"]
fn secure_boot_starts_the_own_kernel_where_its_certificate_is_enrolled_and_nowhere_else() -> TestResult {
    firmware_tools()?;
    let iso = own_medium("server");
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    // The file holds the private key too.
    let certificate = directory.path().join("certificate.pem");
    let (_, key, _) = aegis(&["kernel", "key", "--if-missing"]);
    let arguments = ["x509", "-in", key.trim(), "-out"].map(std::ffi::OsStr::new);
    host::output_of("openssl", arguments.into_iter().chain([certificate.as_os_str()]))?;
    let machine = |name: &str, iso: PathBuf| {
        let medium = Drive::medium(iso, Bus::Cdrom).bootable();
        Machine::new(name).firmware(Firmware::SecureBoot).memory_mib(1024).drive(medium)
    };

    let mut vm = machine("own-kernel-enrolled", iso.clone()).enrolled(certificate.clone()).start()?;
    vm.serial.expect("UEFI Secure Boot is enabled", patience(180))?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    assert!(shell.run("uname -r")?.ends_with("-aegis-server"));
    shell.run("grep -q 'integrity\\|confidentiality' /sys/kernel/security/lockdown")?;
    vm.cut_power()?;

    // Not enrolled; and enrolled, with one byte of the kernel changed, which is as good as no signature.
    let changed = directory.path().join("changed.iso");
    fs::copy(&iso, &changed).map_err(Error::io("copy", &iso))?;
    let extent = iso::extent(&changed, path::KERNEL)?;
    disk::flip_byte(&changed, extent.offset + extent.size / 2)?;
    for (name, machine) in [
        ("own-kernel-not-enrolled", machine("own-kernel-not-enrolled", iso.clone())),
        ("own-kernel-changed", machine("own-kernel-changed", changed).enrolled(certificate)),
    ] {
        let mut vm = machine.start()?;
        vm.serial.refuse(&["EFI stub", "aegis-init"]);
        vm.serial.expect("bad shim signature", patience(180))?;
        vm.mark(name);
        vm.cut_power()?;
    }
    Ok(())
}

#[test]
fn a_kernel_that_is_not_there_is_no_reason_to_build_half_a_medium() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let keys = place.path().display().to_string();
    let (code, out, err) =
        aegis(&["kernel", "build", "--edition", "server", "--keys", &keys, "--out", &keys]);
    assert!(
        code == Some(1) && err.contains("there is no key for kernels") && err.contains("aegis kernel key"),
        "{out}{err}"
    );
    assert!(host::iso("server").is_ok());
}

/// The disk of the cache fills up while the kernel is compiled: the error says so, and nothing of the build is left. What is
/// needed before it compiles is mounted from the real cache.
#[test]
fn a_disk_that_fills_up_while_a_kernel_is_built_is_named_and_leaves_nothing() {
    prepared();
    let place = tempfile::tempdir().expect("a directory can be made");
    let script = r#"set -e
        mount -t tmpfs -o size=8m none "$1"
        mkdir "$1/debs" "$1/resolved" "$1/stages"
        mount --bind "$2/debs" "$1/debs"
        mount --bind "$2/resolved" "$1/resolved"
        for stage in "$2"/stages/*; do
            test "${stage##*/}" != kernel-build || continue
            mkdir "$1/stages/${stage##*/}"
            mount --bind "$stage" "$1/stages/${stage##*/}"
        done
        code=0
        "$3" kernel build --edition server --offline --cache "$1" --out "$1/out" --keys "$4" || code=$?
        find "$1/work" "$1/stages/kernel-build" "$1/out" -mindepth 1 >&2 || true
        exit $code"#;
    let keys = tempfile::tempdir().expect("a directory can be made");
    let (code, _, err) = aegis(&["kernel", "key", "--dir", &keys.path().display().to_string()]);
    assert_eq!(code, Some(0), "{err}");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(place.path()).arg(cache()).arg(root().join("target/release/aegis")).arg(keys.path());
    let output = command.current_dir(root()).output().expect("unshare can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: compiling the kernel in ") && said.contains("no storage space"), "{said}");
    assert!(said.contains("next: free some space"), "{said}");
    let place = place.path().display();
    let left: Vec<_> = said.lines().filter(|line| line.starts_with(&format!("{place}/"))).collect();
    assert_eq!(left, [format!("{place}/work/kernel.lock")], "{said}");
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("aegis")
}

/// The lock that the last check resolved.
fn last_lock() -> PathBuf {
    let locks = fs::read_dir(cache().join("resolved")).expect("a check was made").flatten();
    let ours = locks.map(|entry| entry.path()).filter(|path| {
        let text = fs::read_to_string(path).expect("a lock can be read");
        text.contains("\"linux-source-6.12\"")
    });
    ours.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
        .expect("the check resolved a kernel's source")
}

/// A server whose every answer ends after half of what it announces; its address. It lives as long as the test's process.
fn half_a_mirror() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 103196\r\nConnection: close\r\n\r\n";
            // Whoever asks may have gone.
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&[0; 50_000]));
        }
    });
    format!("http://{address}/debian")
}

#[test]
fn a_network_that_fails_is_named_and_what_was_fetched_is_kept() {
    prepared();
    let place = tempfile::tempdir_in(root().join("target")).expect("a directory can be made");
    let lock = last_lock();
    let text = fs::read_to_string(&lock).expect("a lock can be read");
    let lock_json: serde_json::Value = serde_json::from_str(&text).expect("a lock is JSON");
    let packages = lock_json["packages"].as_array().expect("a lock has packages");
    let debs = place.path().join("debs");
    fs::create_dir_all(&debs).expect("a directory can be made");
    for package in packages.iter().filter(|package| package["name"] != "bc") {
        let name = format!("{}.deb", package["sha256"].as_str().expect("a digest"));
        let (from, to) = (cache().join("debs").join(&name), debs.join(&name));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).expect("a package is kept");
    }
    let before = fs::read_dir(&debs).expect("a directory").count();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let nobody = format!("http://{}/debian", nobody.expect("a port is free"));
    for (mirror, words) in [(nobody, "Could not connect"), (half_a_mirror(), "bc")] {
        let (code, out, err) = aegis(&[
            "kernel",
            "build",
            "--edition",
            "server",
            "--locked",
            &lock.display().to_string(),
            "--mirror",
            &mirror,
            "--security-mirror",
            &mirror,
            "--cache",
            &place.path().display().to_string(),
        ]);
        assert!(code == Some(1) && err.contains(words) && err.contains("next:"), "{mirror}: {out}{err}");
        assert_eq!(fs::read_dir(&debs).expect("a directory").count(), before, "{err}");
    }
}

use aegis_hw::tree::Recording;

use super::*;

const WHOLE: &str = r#"
    update = true
    unmount = true
    wait_return = 60
    receipts = "receipts"
    receipt_key = "/keys/receipt.key.pem"
    [[image]]
    path = "aegis.iso.zst"
    sums = "SHA256SUMS"
    [[image.device]]
    serial = "4C530001"
    size = 15728640000
    [[image.device]]
    port = "2-1.4"
    model = "SanDisk Ultra"
    size = 15728640000
    [auto]
    count = 20
    size = "14GiB..16GB"
    model = "ultra"
    confirm = "20 blank"
"#;

fn fields(text: &str) -> Vec<String> {
    let session: Session = toml::from_str(text).unwrap();
    rules::problems(&session).iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_file_is_read_and_its_paths_begin_at_its_directory() {
    assert_eq!(fields(WHOLE), [""; 0]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.toml");
    fs::write(&file, WHOLE).unwrap();
    let session = Session::read(&file).unwrap();
    let real = directory.path().canonicalize().unwrap();
    assert_eq!(session.images[0].path, real.join("aegis.iso.zst"));
    assert_eq!(session.receipts, Some(real.join("receipts")));
    assert_eq!(session.receipt_key.as_deref(), Some(Path::new("/keys/receipt.key.pem")));
    assert_eq!(session.auto().unwrap().size.max, Bytes(16_000_000_000));
}

#[test]
fn a_misspelt_name_is_an_error_everywhere() {
    for (good, bad) in [
        ("update", "updat"),
        ("path =", "pth ="),
        ("sums =", "sum ="),
        ("serial =", "serail ="),
        ("count", "number"),
    ] {
        let error = toml::from_str::<Session>(&WHOLE.replace(good, bad)).unwrap_err();
        assert!(error.message().contains("unknown field"), "{bad}: {error}");
    }
}

#[test]
fn every_broken_rule_is_named() {
    let text = WHOLE
        .replace("wait_return = 60", "wait_return = 0")
        .replace("receipts = \"receipts\"", "")
        .replace("sums =", "sha256 = \"12\"\nsums =")
        .replace("serial = \"4C530001\"", "model = \"\"")
        .replace("port = \"2-1.4\"", "")
        .replace("14GiB..16GB", "16GB..14GiB")
        .replace("\"ultra\"", "\" \"");
    assert_eq!(
        fields(&text),
        [
            "wait_return must be 1 to 3600 seconds",
            "receipt_key needs receipts, the directory for them",
            "image number 1 has both sha256 and sums",
            "image number 1 has a sha256 that is not 64 hexadecimal digits",
            "image.device number 1 has an empty property",
            "image.device number 2 needs its serial; without one its port, model and size, or its name and size",
            "auto.size is not usable: the first size has to be more than zero and not more than the second",
            "auto.model must not be empty",
        ]
    );
    assert_eq!(fields(&WHOLE.replace("\"20 blank\"", "\"yes\"")), ["auto.confirm must be `20 blank`"]);
    assert_eq!(fields(""), ["image is missing"]);
    let again =
        "[[image]]\npath = \"a\"\n[[image.device]]\nserial = \"1\"\n[[image.device]]\nserial = \"1\"\n";
    assert_eq!(fields(again), ["image.device number 2 is named twice"]);
    assert_eq!(fields("[[image]]\npath = \"a\"\n"), ["image number 1 is for no device"]);
    let file = "[[image]]\npath = \"a\"\n[[image.device]]\nfile = \"b\"\nsize = 1\n";
    assert_eq!(fields(file), ["image.device number 1 is a file, which has no other property"]);
}

#[test]
fn sizes_of_sticks() {
    let parse = |text| SizeRange::parse(text).map(|range| (range.min.0, range.max.0));
    assert_eq!(parse("1..1"), Ok((1, 1)));
    assert_eq!(parse("14 GiB .. 16 GB"), Ok((14 << 30, 16_000_000_000)));
    assert_eq!(parse("1kB..1TiB"), Ok((1000, 1 << 40)));
    for wrong in
        ["", "16GB", "..", "1..", "2..1", "0..1", "1G..2G", "-1..1", "1..99999999999TB", "1GB..2GB..3GB"]
    {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

/// A machine of the fixtures.
fn machine(name: &str) -> Tree {
    let path = format!("{}/../tests/fixtures/{name}.machine", env!("CARGO_MANIFEST_DIR"));
    Tree::recorded(Recording::parse(&fs::read(path).unwrap()).unwrap())
}

/// Each stick of a machine is named by its own entry and by no other, whatever it says of itself.
#[test]
fn what_is_saved_names_exactly_the_device_that_it_was_made_of() {
    for name in ["usb-hub-20", "duplicates", "card-reader", "hostile-names", "usb-enclosures", "vm-virtio"] {
        let tree = machine(name);
        let disks = inventory::disks(&tree).unwrap();
        assert!(!disks.is_empty(), "{name}");
        for disk in &disks {
            let entry = DeviceEntry::of(&TargetDisk::of_disk(disk));
            let text = toml::to_string(&entry).unwrap();
            assert_eq!(toml::from_str::<DeviceEntry>(&text).unwrap(), entry);
            let matching: Vec<&str> =
                disks.iter().filter(|one| entry.matches(one)).map(|one| one.name.as_str()).collect();
            assert_eq!(matching, [disk.name.as_str()], "{name}: {entry}");
        }
    }
}

#[test]
fn an_entry_that_fits_two_devices_or_none_lists_what_was_seen() {
    let tree = machine("duplicates");
    let disks = inventory::disks(&tree).unwrap();
    let twin = disks.iter().find(|disk| disk.told_apart_by.is_some()).unwrap();
    let choose = |entry: &DeviceEntry| {
        let error = entry.choose(&tree, &disks, &BTreeSet::new(), Bytes(1), false).unwrap_err();
        assert_eq!(aegis_core::report::Hint::exit_code(&error), 3);
        error.to_string()
    };
    let text = choose(&DeviceEntry { serial: twin.serial.clone(), ..DeviceEntry::default() });
    assert!(text.contains("exactly one must; the disks are:\n"), "{text}");
    assert_eq!(text.lines().count(), 1 + disks.len());
    let text = choose(&DeviceEntry { serial: Some("no such".into()), ..DeviceEntry::default() });
    assert!(text.starts_with("0 disks have serial `no such`"), "{text}");
}

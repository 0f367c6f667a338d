use super::*;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A block map of 10 blocks and 100 bytes, as bmaptool prints it; the checksums of its ranges are made up.
fn text(version: &str, ranges: &str, mapped: u64) -> String {
    format!(
        "<?xml version=\"1.0\" ?>\n<!-- a comment -->\n<bmap version=\"{version}\">\n\
         <ImageSize> 41060 </ImageSize>\n<BlockSize> 4096 </BlockSize>\n<BlocksCount> 11 </BlocksCount>\n\
         <!-- Count of mapped blocks: 12.0 KiB or 3%   -->\n<MappedBlocksCount> {mapped}  </MappedBlocksCount>\n\
         <ChecksumType> sha256 </ChecksumType>\n<BmapFileChecksum> {ZEROS} </BmapFileChecksum>\n\
         <BlockMap>\n{ranges}</BlockMap>\n</bmap>\n"
    )
}

fn sealed(text: &str) -> Vec<u8> {
    let sum = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    text.replacen(ZEROS, &sum, 1).into_bytes()
}

fn read(text: &str) -> Result<Map, BmapError> {
    parse(&sealed(text), Path::new("a.bmap"))
}

fn good() -> String {
    let (a, b) = ("a".repeat(64), "B".repeat(64));
    text("2.0", &format!("<Range chksum=\"{a}\"> 0-1 </Range>\n<Range chksum=\"{b}\"> 10 </Range>\n"), 3)
}

#[test]
fn what_bmaptool_writes_is_read() {
    let map = read(&good()).unwrap();
    assert_eq!((map.length, map.skipped), (41_060, 0));
    assert_eq!(map.origin, Origin::Bmap { version: "2.0".into(), checksums: Some("sha256") });
    assert!(map.to_string().contains("a.bmap (bmap 2.0, sha256)\nnobody signed that"), "{map}");
    for version in ["1.4", "2.1"] {
        assert!(read(&good().replace("2.0", version)).is_ok(), "{version}");
    }
    let without = read(&text("2.0", "<Range> 3 </Range>\n", 1)).unwrap();
    assert!(without.to_string().contains("NOT CHECKED"), "{without}");
    assert!(read(&text("2.0", "", 0)).is_ok());
}

/// Made by hand from the description of 1.3: other names, and SHA-1 everywhere.
#[test]
fn version_1_3_has_sha_1() {
    let zeros = "0".repeat(40);
    let text = text("1.3", &format!("<Range sha1=\"{}\"> 0-10 </Range>", "c".repeat(40)), 11)
        .replace("<ChecksumType> sha256 </ChecksumType>\n", "")
        .replace("BmapFileChecksum", "BmapFileSHA1")
        .replace(ZEROS, &zeros);
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let bytes = text.replacen(&zeros, &hex::encode(sum.as_ref()), 1);
    let map = parse(bytes.as_bytes(), Path::new("a.bmap")).unwrap();
    assert_eq!(map.origin, Origin::Bmap { version: "1.3".into(), checksums: Some("sha1") });
}

#[test]
fn a_changed_file_is_refused() {
    let bytes = sealed(&good());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(parse(&changed, Path::new("a.bmap")).is_err(), "{at}");
        assert!(parse(&bytes[..at], Path::new("a.bmap")).is_err(), "{at}");
    }
    assert!(matches!(parse(good().as_bytes(), Path::new("")), Err(BmapError::Checksum)));
}

#[test]
fn what_cannot_be_is_refused() {
    let change = |from: &str, to: &str| {
        let text = good();
        assert!(text.contains(from), "{from}");
        read(&text.replacen(from, to, 1)).unwrap_err()
    };
    for version in ["1.2", "3.0", "2", "", "-2.0"] {
        assert!(matches!(change("2.0", version), BmapError::Version(_)), "{version}");
    }
    for name in ["md5", "sha224", "", "sha256sum"] {
        assert!(matches!(change("sha256", name), BmapError::Algorithm(_)), "{name}");
    }
    assert!(matches!(change("sha256", "sha512"), BmapError::Checksum));
    for (from, to) in [
        ("41060", "0"),
        ("41060", "-1"),
        ("41060", "+41060"),
        ("41060", "17592186044417"),
        ("41060", "99999999999999999999"),
        ("> 4096", "> 0"),
        ("> 4096", "> 16777217"),
        ("> 11", "> "),
        ("> 3 ", "> x "),
    ] {
        assert!(matches!(change(from, to), BmapError::Number { .. }), "{from} {to}");
    }
    assert!(matches!(change("> 11", "> 10"), BmapError::Blocks { expected: 11, found: 10 }));
    assert!(matches!(change("> 3 ", "> 4 "), BmapError::Mapped { expected: 4, found: 3 }));
    for range in ["", "x", "1-", "-1", "1-0", "0-11", "11", "1-2-3", "0-18446744073709551616"] {
        assert!(matches!(change("0-1 ", range), BmapError::Range { .. }), "{range}");
    }
    assert!(matches!(change("> 10 ", "> 1 "), BmapError::Range { .. }));
    assert!(matches!(change("0-1 ", "10-10 "), BmapError::Range { .. }));
    assert!(matches!(change("chksum=\"aa", "chksum=\"a"), BmapError::Range { .. }));
    for element in ["ImageSize", "BlockSize", "BlocksCount", "MappedBlocksCount", "ChecksumType", "BlockMap"]
    {
        let text =
            good().replace(&format!("<{element}>"), "<Other>").replace(&format!("</{element}>"), "</Other>");
        assert!(matches!(read(&text), Err(BmapError::Missing(missing)) if missing == element), "{element}");
    }
}

#[test]
fn what_is_no_bmap_is_refused() {
    for bytes in [&b""[..], b"<bmap", b"\xff\xfe", b"<bmap version=\"2.0\"/>", b"<image version=\"2.0\"/>"] {
        let error = parse(bytes, Path::new("a.bmap")).unwrap_err();
        assert!(!error.to_string().is_empty() && error.hint().is_some());
    }
    let long = vec![b' '; LIMIT + 1];
    assert!(matches!(parse(&long, Path::new("")), Err(BmapError::TooLong)));
    // Entities of entities of entities.
    let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><bmap version=\"2.0\">&b;</bmap>";
    assert!(matches!(parse(bomb.as_bytes(), Path::new("")), Err(BmapError::Xml(_))));
    let deep = "<bmap version=\"2.0\">".repeat(100_000);
    assert!(parse(deep.as_bytes(), Path::new("")).is_err());
}

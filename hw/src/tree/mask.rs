//! What names a machine or a person, replaced in a recording.
//!
//! A value becomes another one of the same length and form, the same everywhere it occurs, so that equal serial numbers
//! stay equal. It follows from a random salt that nobody keeps: without it a guess cannot be compared.

use std::collections::{BTreeMap, BTreeSet};

use aegis_core::crypto::Crypto;

use super::recording::{Node, Recording};

/// Files of which the whole content names a device, by the last component of their path.
const NAMING: &[&str] = &[
    "array_uuid",
    "board_asset_tag",
    "board_serial",
    "chassis_asset_tag",
    "chassis_serial",
    "cid",
    "eui",
    "hostid",
    "hostname",
    "hostnqn",
    "machine-id",
    "nguid",
    "product_serial",
    "product_uuid",
    "sas_address",
    "serial",
    "serial_number",
    "unique_id",
    "wwid",
];

/// Properties of udev and of `uevent` that name a device.
const PROPERTIES: &[&str] = &[
    "ID_FS_UUID",
    "ID_FS_UUID_ENC",
    "ID_FS_UUID_SUB",
    "ID_FS_UUID_SUB_ENC",
    "ID_PART_ENTRY_UUID",
    "ID_PART_TABLE_UUID",
    "ID_SCSI_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "ID_WWN_WITH_EXTENSION",
    "MD_UUID",
    "PARTUUID",
];

/// Directories whose entries are named after people, and how many components of a path below them are masked.
const PERSONAL: &[(&str, usize)] =
    &[("/home/", usize::MAX), ("/root/", usize::MAX), ("/run/media/", 1), ("/media/", 1)];

/// Shortest value that is looked for in other files; a shorter one would be found in everything.
const SHORTEST: usize = 4;

/// From this length on a value is replaced inside of words too.
const DISTINCT: usize = 8;

/// Replaces what names a machine or a person.
#[derive(Debug)]
pub struct Mask {
    salt: [u8; 32],
    digest: fn(&[&[u8]]) -> [u8; 32],
    /// Values, and what stands for them.
    values: BTreeMap<String, String>,
}

impl Mask {
    /// With a salt that is as good as random, and is kept nowhere.
    pub fn new<C: Crypto>(salt: [u8; 32]) -> Self {
        Self { salt, digest: |parts| C::sha256(parts).0, values: BTreeMap::new() }
    }

    /// The recording with everything replaced, names of files too.
    pub fn apply(mut self, recording: &Recording) -> Recording {
        let mut masked = Recording::default();
        for (path, node) in &recording.nodes {
            if let Node::File(content) = node {
                self.collect(path, content);
            }
        }
        for (path, node) in &recording.nodes {
            let node = match node {
                Node::File(content) => Node::File(self.content(path, content)),
                Node::Link(target) => Node::Link(self.text(target)),
                Node::Directory(_) => Node::Directory(Vec::new()),
                other => other.clone(),
            };
            // Paths differ in more than what is masked; if two became one, one of them would be lost.
            let _ = masked.insert(&self.text(path), node);
        }
        masked
    }

    /// Values that a file names a device with.
    fn collect(&mut self, path: &str, content: &[u8]) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let text = String::from_utf8_lossy(content);
        if NAMING.contains(&name) {
            // A root hub is called after its PCI device, as is its directory.
            if !path.split('/').any(|part| part == text.trim_end()) {
                self.learn_all(&text);
                if name != "wwid" {
                    self.learn(&text);
                }
            }
        } else if name == "vpd_pg80" {
            self.learn(&String::from_utf8_lossy(content.get(4..).unwrap_or_default()));
        } else if name == "vpd_pg83" {
            designators(content).iter().for_each(|one| self.learn(one));
        } else if name == "uuid" {
            // CRYPT-LUKS2-<digits>-name, LVM-<letters>, or a UUID, which is known by its form.
            text.split('-').filter(|word| word.len() >= DISTINCT * 2).for_each(|word| self.learn(word));
        } else if name == "subsysnqn" {
            // nqn.2014.08.org.nvmexpress:<vendor ids><serial><model>, where the serial is another file's.
            let own = text.rsplit(':').next().unwrap_or_default();
            self.learn_all(own.split_ascii_whitespace().next().unwrap_or_default());
        }
        for line in text.lines() {
            let line = line.strip_prefix("E:").unwrap_or(line);
            match line.split_once('=') {
                Some(("DM_UUID", value)) => value
                    .split('-')
                    .filter(|word| word.len() >= DISTINCT * 2)
                    .for_each(|word| self.learn(word)),
                // host:name
                Some(("MD_NAME", value)) => {
                    value.split_once(':').into_iter().for_each(|(host, _)| self.learn(host))
                }
                Some((key, value)) if PROPERTIES.contains(&key) => self.learn_all(value),
                _ => {}
            }
        }
    }

    /// Learns the words of a value that are more than a prefix such as `naa` or a model's name.
    fn learn_all(&mut self, value: &str) {
        let value = value.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        // t10.ATA_____Model_Serial, where the words of the model are no names.
        let names = value.rsplit(|c: char| c.is_whitespace() || c == '_').next().unwrap_or_default();
        let names = names.strip_prefix("0x").unwrap_or(names);
        match names.split_once('.') {
            Some(("naa" | "eui" | "uuid" | "t10" | "nvme", rest)) => self.learn(rest),
            _ => self.learn(names),
        }
    }

    fn learn(&mut self, value: &str) {
        let value = value.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let telling = value.bytes().filter(u8::is_ascii_alphanumeric).collect::<BTreeSet<_>>().len() > 1;
        if value.len() >= SHORTEST && telling && !value.contains('\n') && !self.values.contains_key(value) {
            let masked = self.masked(value);
            // Firmware writes one number with capital letters here and without them there.
            for form in [str::to_ascii_uppercase, str::to_ascii_lowercase] {
                self.values.insert(form(value), form(&masked));
            }
            self.values.insert(value.into(), masked);
        }
    }

    /// Another value of the same form. Values that differ in capital letters only stay so.
    fn masked(&self, value: &str) -> String {
        if is_uuid(value) {
            return self.uuid(value);
        }
        let hex = value.bytes().all(|b| b.is_ascii_hexdigit() || b.is_ascii_punctuation());
        let mut bytes = self.stream(&value.to_ascii_lowercase());
        let mut next = || bytes.next().unwrap_or_default();
        let letters = if hex { 6 } else { 26 };
        value
            .chars()
            .map(|c| match c {
                '0'..='9' => char::from(b'0' + next() % 10),
                'a'..='z' => char::from(b'a' + next() % letters),
                'A'..='Z' => char::from(b'A' + next() % letters),
                c if c.is_ascii() => c,
                _ => char::from(b'a' + next() % 26),
            })
            .collect()
    }

    /// The version, the variant and the last digit stay: partitions of one installation differ in the last alone.
    fn uuid(&self, value: &str) -> String {
        let lower = value.to_ascii_lowercase();
        let mut bytes = self.stream(lower.get(..35).unwrap_or_default());
        let masked = lower.char_indices().map(|(at, c)| match (at, c) {
            (_, '-') | (14 | 19 | 35, _) => c,
            _ => char::from_digit(u32::from(bytes.next().unwrap_or_default() % 16), 16).unwrap_or('0'),
        });
        let masked: String = masked.collect();
        if value.bytes().any(|b| b.is_ascii_uppercase()) { masked.to_ascii_uppercase() } else { masked }
    }

    /// Bytes that follow from the salt and a value.
    fn stream(&self, value: &str) -> impl Iterator<Item = u8> + use<> {
        let (salt, digest, value) = (self.salt, self.digest, value.to_owned());
        (0u32..).flat_map(move |block| digest(&[&salt, &block.to_le_bytes(), value.as_bytes()]))
    }

    fn content(&self, path: &str, content: &[u8]) -> Vec<u8> {
        let name = path.rsplit('/').next().unwrap_or_default();
        match std::str::from_utf8(content) {
            Ok(text) if path == "/proc/self/mountinfo" => self.text(&mounts(text)).into_bytes(),
            Ok(text) if NAMING.contains(&name) => self.own(text).into_bytes(),
            Ok(text) => self.text(text).into_bytes(),
            Err(_utf8) => self.bytes(content),
        }
    }

    /// The content of a file that names a device: values are replaced inside of words too.
    fn own(&self, text: &str) -> String {
        self.replaced(&self.uuids(text), 0)
    }

    fn text(&self, text: &str) -> String {
        personal(self, &self.replaced(&self.uuids(text), DISTINCT))
    }

    /// Replaces values; those shorter than `distinct` only where they are a word.
    fn replaced(&self, text: &str, distinct: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        // One pass, the longest value first, so that nothing that stands for a value is replaced again.
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let before = out.chars().next_back();
            match self.longest(rest, before, distinct) {
                Some((value, masked)) => {
                    out.push_str(masked);
                    at += value.len();
                }
                None => {
                    let c = rest.chars().next().unwrap_or_default();
                    out.push(c);
                    at += c.len_utf8();
                }
            }
        }
        out
    }

    /// The longest value that a text begins with.
    fn longest(&self, text: &str, before: Option<char>, distinct: usize) -> Option<(&str, &str)> {
        let first = text.get(..SHORTEST)?;
        let candidates =
            self.values.range(first.to_owned()..).take_while(|(value, _)| value.starts_with(first));
        let fits = |value: &str| {
            let after = text[value.len()..].chars().next();
            let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            value.len() >= distinct || !(word(before) || word(after))
        };
        let found = candidates.filter(|(value, _)| text.starts_with(value.as_str()) && fits(value));
        found.max_by_key(|(value, _)| value.len()).map(|(value, masked)| (value.as_str(), masked.as_str()))
    }

    /// Replaces everything in the form of a UUID, apart from types of partitions, and of hardware addresses.
    fn uuids(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            if line.contains("ID_PART_ENTRY_TYPE=") {
                out.push_str(line);
                continue;
            }
            let mut rest = line;
            while let Some(c) = rest.chars().next() {
                let length = [36, 17].into_iter().find(|length| match rest.get(..*length) {
                    Some(text) => is_uuid(text) || is_hardware_address(text),
                    None => false,
                });
                match length.and_then(|length| rest.split_at_checked(length)) {
                    Some((value, after)) => {
                        out.push_str(&self.masked(value));
                        rest = after;
                    }
                    None => {
                        out.push(c);
                        rest = &rest[c.len_utf8()..];
                    }
                }
            }
        }
        out
    }

    /// Values in a file that is no text, as letters and as the bytes that their digits mean.
    fn bytes(&self, content: &[u8]) -> Vec<u8> {
        let mut out = content.to_vec();
        let mut values: Vec<_> = self.values.iter().collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, masked) in values {
            replace_bytes(&mut out, content, value.as_bytes(), masked.as_bytes());
            if let (Some(value), Some(masked)) = (from_hex(value), from_hex(masked)) {
                replace_bytes(&mut out, content, &value, &masked);
            }
        }
        out
    }
}

/// Replaces bytes where the original has them.
fn replace_bytes(out: &mut [u8], original: &[u8], value: &[u8], masked: &[u8]) {
    if value.len() != masked.len() || value.is_empty() {
        return;
    }
    for (at, window) in original.windows(value.len()).enumerate() {
        if let Some(place) =
            out.get_mut(at..at + value.len()).filter(|place| window == value && *place == value)
        {
            place.copy_from_slice(masked);
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let even = text.len() >= 2 * SHORTEST && text.len().is_multiple_of(2) && text.is_ascii();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    even.then(|| text.as_bytes().chunks(2).map(byte).collect()).flatten()
}

/// Device identification page: SPC-4, 7.8.6. Names in letters as they are, in bytes as digits.
fn designators(page: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = page.get(4..).unwrap_or_default();
    while let [set, kind, _, length, more @ ..] = rest {
        let Some((value, after)) = more.split_at_checked(usize::from(*length)) else { break };
        match (set & 0x0f, kind & 0x0f) {
            (1, _) => found.push(value.iter().map(|byte| format!("{byte:02x}")).collect()),
            // Vendor, model and serial: only the last word names the device.
            (2 | 3, 0 | 1 | 8) => {
                let text = String::from_utf8_lossy(value);
                found.extend(text.split([' ', '\0']).rfind(|word| !word.is_empty()).map(Into::into));
            }
            _ => {}
        }
        rest = after;
    }
    found
}

fn is_uuid(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(form)
}

fn is_hardware_address(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| if at % 3 == 2 { byte == b':' } else { byte.is_ascii_hexdigit() };
    text.len() == 17 && text.bytes().enumerate().all(form)
}

/// The mounts that are on disks; addresses of servers and options of programs are nobody's business.
fn mounts(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let Some((mount, rest)) = line.split_once(" - ") else { continue };
        let mut fields = rest.split(' ');
        let (kind, source) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if source.starts_with("/dev/")
            || mount.split(' ').nth(2).is_some_and(|device| !device.starts_with("0:"))
        {
            out.push_str(&format!("{mount} - {kind} {source} rw\n"));
        }
    }
    out
}

/// Masks the names of people in paths.
fn personal(mask: &Mask, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'next: while let Some(c) = rest.chars().next() {
        // Only where a path begins, or a prefix of it: `/dev/home/` is no directory of people.
        let begins = out.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
        for (directory, components) in PERSONAL {
            let Some(path) = rest.strip_prefix(directory).filter(|_path| begins) else { continue };
            let length = path.find(|c: char| c.is_whitespace() || c == ',' || c == '"').unwrap_or(path.len());
            let (path, after) = path.split_at(length);
            out.push_str(directory);
            for (number, part) in path.split('/').enumerate() {
                out.push_str(if number > 0 { "/" } else { "" });
                match number < *components {
                    true => out.push_str(&mask.masked(part)),
                    false => out.push_str(part),
                }
            }
            rest = after;
            continue 'next;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use aegis_core::hex::{Digest, Hex};

    use super::*;

    /// Good enough to look at.
    struct Weak;

    impl Crypto for Weak {
        type Key = ();

        fn sha256(parts: &[&[u8]]) -> Digest {
            let mut state = [
                0x6a09_e667_f3bc_c908u64,
                0xbb67_ae85_84ca_a73b,
                0x3c6e_f372_fe94_f82b,
                0xa54f_f53a_5f1d_36f1,
            ];
            for byte in parts.iter().flat_map(|part| part.iter().chain([&0xff])) {
                for (round, word) in state.iter_mut().enumerate() {
                    *word = (*word ^ u64::from(*byte))
                        .wrapping_mul(0x100_0000_01b3 + 2 * round as u64)
                        .rotate_left(23);
                }
            }
            let mut bytes = [0; 32];
            for (chunk, word) in bytes.chunks_mut(8).zip(state) {
                chunk.copy_from_slice(&(word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes());
            }
            Hex(bytes)
        }

        fn prepare(_der: &[u8]) -> Option<()> {
            None
        }

        fn verifies((): &(), _message: &[u8], _signature: &[u8]) -> bool {
            false
        }
    }

    const MACHINE: &str = "aegis machine 1
/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0
  vpd_pg80 =x 0080000f533359394e583042303134353237 45
  vpd_pg83 =x 00830028 0103000850 02538e40a1b2c3 02010018415441202020202053616d73756e672053335939 4e58
  wwid = naa.5002538e40a1b2c3
  model = Samsung SSD 860
/sys/devices/pci0000:00/0000:00:14.0/usb1
  serial = 0000:00:14.0
  1-1/serial = 4C530001230729105481
  1-1/product = Cruzer
  1-2/serial = 4C530001230729105481
  1-3/serial = 4c530001230729105481
/sys/block/dm-0/dm
  name = luks-2f1d6a34-9f6e-4a8e-8a55-1c9a90b1a6d7
  uuid = CRYPT-LUKS2-2f1d6a349f6e4a8e8a551c9a90b1a6d7-luks-2f1d6a34-9f6e-4a8e-8a55-1c9a90b1a6d7
/run/udev/data
  b8:1 =|
  | E:ID_SERIAL=Samsung_SSD_860_S3Y9NX0B014527E
  | E:ID_PART_ENTRY_TYPE=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
  | E:ID_PART_ENTRY_UUID=00112233-4455-8677-8899-aabbccddeef2
  | E:ID_FS_UUID=5C2E-11FA
  | E:ID_FS_LABEL=DATA
  b8:2 =|
  | E:ID_PART_ENTRY_UUID=00112233-4455-8677-8899-aabbccddeef3
/proc/self
  mountinfo =|
  | 1 0 8:1 / /home/ada/disk rw - ext4 /dev/sda1 rw
  | 2 0 0:50 / /mnt rw - nfs4 files.example:/srv rw,addr=192.0.2.7
  | 3 0 8:3 / /run/media/ada/DATA rw - ext4 /dev/sda3 rw
/sys/class/net/eth0
  address = a4:bb:6d:00:11:23
";

    fn masked(salt: u8) -> (Recording, String) {
        let recording = Recording::parse(MACHINE.as_bytes()).unwrap();
        let masked = Mask::new::<Weak>([salt; 32]).apply(&recording);
        let text = masked.to_text("");
        (masked, text)
    }

    #[test]
    fn nothing_that_names_the_machine_survives() {
        let (recording, text) = masked(7);
        let bytes: Vec<u8> =
            recording.paths().iter().filter_map(|path| recording.content(path)).flatten().copied().collect();
        for secret in [
            "S3Y9NX0B014527E",
            "5002538e40a1b2c3",
            "4C530001230729105481",
            "2f1d6a34",
            "aabbccdd",
            "5C2E-11FA",
            "ada",
            "files.example",
            "192.0.2.7",
            "a4:bb:6d",
        ] {
            assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{secret}:\n{text}");
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
        let number = [0x50, 0x02, 0x53, 0x8e, 0x40, 0xa1, 0xb2, 0xc3];
        assert!(!bytes.windows(8).any(|window| window == number), "the number of page 83 is the one of wwid");
    }

    #[test]
    fn what_is_equal_stays_equal_and_keeps_its_form() {
        let (recording, text) = masked(7);
        let of = |path: &str| String::from_utf8(recording.content(path).unwrap().into()).unwrap();
        let usb = "/sys/devices/pci0000:00/0000:00:14.0/usb1";
        assert_eq!(
            of(&format!("{usb}/serial")),
            "0000:00:14.0\n",
            "a root hub is called after its PCI device"
        );
        let serial = of(&format!("{usb}/1-1/serial"));
        assert_eq!(serial.len(), 21);
        assert_eq!(serial, of(&format!("{usb}/1-2/serial")));
        assert_eq!(serial.to_lowercase(), of(&format!("{usb}/1-3/serial")));
        assert!(of("/sys/block/dm-0/dm/uuid").starts_with("CRYPT-LUKS2-"), "{text}");
        for kept in
            ["Samsung SSD 860", "Cruzer", "ID_FS_LABEL=DATA", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "naa."]
        {
            assert!(text.contains(kept), "{kept}:\n{text}");
        }
        // Partitions of one installation are still recognised as such.
        let guid = |file: &str| {
            let text = of(file);
            let at = text.find("ENTRY_UUID=").unwrap() + 11;
            text[at..at + 36].to_owned()
        };
        let (one, two) = (guid("/run/udev/data/b8:1"), guid("/run/udev/data/b8:2"));
        assert_eq!((&one[..35], &one[35..], &two[35..]), (&two[..35], "2", "3"));
        assert_ne!(masked(8).1, text, "another salt, other names");
    }
}

//! The configuration that a kernel image carries (`CONFIG_IKCONFIG`): the only proof of what was built.
//!
//! Formats: a bzImage's payload is where Documentation/arch/x86/boot.rst says (`payload_offset`, `payload_length`), compressed
//! as the kernel's build chose; within it the configuration is gzip between `IKCFG_ST` and `IKCFG_ED` (kernel/configs.c).

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use flate2::read::GzDecoder;

use crate::{
    error::{Error, Result},
    host,
    tools::Tools,
};

/// The largest configuration that is read; Debian's has 300 KiB.
const LARGEST: u64 = 4 << 20;

/// The text of the configuration in a kernel image.
pub fn config(tools: &Tools, image: &Path) -> Result<String> {
    let bytes = fs::read(image).map_err(Error::io("reading", image))?;
    let bad = |reason: &str| Error::KernelImage { path: image.to_owned(), reason: reason.into() };
    let payload = payload(&bytes).ok_or_else(|| bad("it is no kernel for the PC's boot protocol"))?;
    let (program, args): (_, &[&str]) = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("usr/bin/zstd", &["--decompress", "--quiet", "--stdout"]),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            ("usr/bin/xz", &["--decompress", "--single-stream", "--stdout"])
        }
        _ => return Err(bad("it is compressed neither by zstd nor by xz")),
    };
    let mut command = tools.command(program);
    command.args(args);
    let write = |pipe: &mut dyn Write| pipe.write_all(payload).map_err(Error::io("writing to", program));
    let kernel = host::feed(&mut command, "unpacking a kernel", write)?;
    let start = find(&kernel, b"IKCFG_ST").ok_or_else(|| bad("it carries no configuration"))?;
    let mut text = String::new();
    GzDecoder::new(&kernel[start + 8..])
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|_broken| bad("the configuration that it carries is damaged"))?;
    Ok(text)
}

/// The compressed kernel proper, without the four bytes of its length that the build appends.
fn payload(image: &[u8]) -> Option<&[u8]> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let number = |at: usize| {
        image.get(at..at + 4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    // No sectors means four, says the protocol.
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + usize::try_from(number(0x248)?).ok()?;
    let end = start.checked_add(usize::try_from(number(0x24c)?).ok()?)?.checked_sub(4)?;
    image.get(start..end)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_and_broken_headers_are_refused() {
        let mut image = vec![0u8; 2048];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x1f1] = 1;
        image[0x248..0x24c].copy_from_slice(&16u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&20u32.to_le_bytes());
        image[1040..1056].copy_from_slice(b"0123456789abcdef");
        assert_eq!(payload(&image), Some(&b"0123456789abcdef"[..]));
        for (at, value) in [(0x248, u32::MAX), (0x24c, u32::MAX), (0x24c, 0), (0x24c, 3)] {
            let mut broken = image.clone();
            broken[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(payload(&broken), None, "{at:#x} {value}");
        }
        (0..image.len().min(0x260)).for_each(|length| assert_eq!(payload(&image[..length]), None));
    }
}

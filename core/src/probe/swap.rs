//! Swap space and the image of a hibernated system (the kernel's `include/linux/swap.h` and `kernel/power/swap.c`).

use super::{
    Found, Kind, Probe, Source,
    read::{ReadError, Reader, array, be32, is_at, le32},
    text::{Label, Uuid, version},
};

/// Sizes of memory pages; the signature ends the first one.
const PAGES: [u32; 5] = [4096, 8192, 16384, 32768, 65536];
const SIGNATURE: usize = 10;
/// Pages of 4 KiB that a swap space has at least.
const FEWEST: u64 = 10;
const HEADER: usize = 1024;

const SPACE: [&str; 1] = ["SWAPSPACE2"];
const HIBERNATED: [&str; 4] = ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"];

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let signed = signed(reader, &SPACE)?;
    Ok(signed.and_then(|(page, _signature)| parse(head, page)))
}

/// As [`probe`]; the space then holds an image that the next start reads.
pub(super) fn suspended<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let Some((page, signature)) = signed(reader, &HIBERNATED)? else { return Ok(None) };
    let mut method = version(format_args!("{signature}"));
    if let Some(method) = &mut method {
        method.make_ascii_lowercase();
    }
    Ok(parse(head, page).map(|found| Probe { kind: Kind::Suspended, version: method, ..found }))
}

/// The size of the page that ends with one of these signatures, and which.
fn signed<'s, S: Source>(
    reader: &mut Reader<'_, S>,
    signatures: &[&'s str],
) -> Result<Option<(u32, &'s str)>, ReadError<S::Error>> {
    if reader.size() < FEWEST * u64::from(PAGES[0]) {
        return Ok(None);
    }
    for page in PAGES {
        let Some(end) = reader.array::<SIGNATURE>(u64::from(page) - SIGNATURE as u64)? else { break };
        if let Some(signature) = signatures.iter().find(|signature| end.starts_with(signature.as_bytes())) {
            return Ok(Some((page, signature)));
        }
    }
    Ok(None)
}

fn parse(head: &[u8], page: u32) -> Option<Probe> {
    let header = head.get(HEADER..)?;
    // Written in the order of the machine's bytes.
    let read = if le32(header, 0) == Some(1) { le32 } else { be32 };
    let (1, last) = (read(header, 0)?, read(header, 4)?) else { return None };
    // Old versions of mkswap left what was there before.
    let is_clean = is_at(header, 172, &[0; 8]);
    Some(Probe {
        label: is_clean.then(|| Label::from_bytes(header.get(28..44)?)).flatten(),
        uuid: is_clean.then(|| Uuid::from_bytes(array(header, 12)?)).flatten(),
        version: version(format_args!("1")),
        size: u64::from(Some(last).filter(|last| *last > 0)?).checked_mul(page.into()),
        block_size: Some(page),
        ..Probe::new(Kind::Swap)
    })
}

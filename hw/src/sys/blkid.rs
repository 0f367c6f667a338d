//! libblkid (util-linux, `libblkid/src/blkid.h`), loaded where it is installed.

use std::{
    ffi::{CStr, c_char, c_int},
    fs::File,
    marker::{PhantomData, PhantomPinned},
    os::fd::AsRawFd,
    ptr, slice,
    sync::OnceLock,
};

use super::library::{LoadError, library};

// BLKID_SUBLKS_*: what is asked for.
const LABEL: c_int = 1 << 1;
const UUID: c_int = 1 << 3;
const TYPE: c_int = 1 << 5;
const USAGE: c_int = 1 << 7;
const VERSION: c_int = 1 << 8;
/// Superblocks with a wrong checksum are told too, with the value `SBBADCSUM`.
const BAD_CHECKSUM: c_int = 1 << 10;

/// What `blkid_do_probe` and `blkid_do_safeprobe` return. Of several superblocks the second tells -2 up to version 2.38
/// and, against its documentation, -1 after that, as of an error.
const FOUND: c_int = 0;
const NOTHING: c_int = 1;

/// Superblocks that are asked for one after the other.
const MOST: usize = 64;

/// Bytes of a value that are taken; the longest label has fewer.
const LONGEST: usize = 2048;

/// `struct blkid_struct_probe`, which only the library knows.
#[repr(C)]
pub(crate) struct RawProbe {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

library! {
    /// The functions of low-level probing.
    Blkid = "libblkid.so.1" {
        fn blkid_new_probe() -> *mut RawProbe;
        fn blkid_free_probe(probe: *mut RawProbe);
        fn blkid_probe_set_device(probe: *mut RawProbe, fd: c_int, offset: i64, size: i64) -> c_int;
        fn blkid_probe_enable_superblocks(probe: *mut RawProbe, enable: c_int) -> c_int;
        fn blkid_probe_set_superblocks_flags(probe: *mut RawProbe, flags: c_int) -> c_int;
        fn blkid_probe_enable_partitions(probe: *mut RawProbe, enable: c_int) -> c_int;
        fn blkid_do_safeprobe(probe: *mut RawProbe) -> c_int;
        fn blkid_reset_probe(probe: *mut RawProbe);
        fn blkid_do_probe(probe: *mut RawProbe) -> c_int;
        fn blkid_probe_numof_values(probe: *mut RawProbe) -> c_int;
        fn blkid_probe_get_value(
            probe: *mut RawProbe,
            number: c_int,
            name: *mut *const c_char,
            data: *mut *const c_char,
            length: *mut usize,
        ) -> c_int;
    }
}

/// What the library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing that it knows.
    Nothing,
    /// Several superblocks that exclude each other; their types.
    Ambivalent(Vec<String>),
    /// Names and values.
    Values(Vec<(String, String)>),
    /// It could not look.
    Failed,
}

/// The library, loaded once for the whole run.
pub(crate) fn library() -> Result<Blkid, &'static LoadError> {
    static LIBRARY: OnceLock<Result<Blkid, LoadError>> = OnceLock::new();
    LIBRARY.get_or_init(Blkid::load).as_ref().copied()
}

/// A probe that is freed when it is dropped.
struct Probe {
    library: Blkid,
    raw: *mut RawProbe,
}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: the pointer came from blkid_new_probe and is not null; nothing of it is used any more.
        unsafe { (self.library.blkid_free_probe)(self.raw) }
    }
}

impl Blkid {
    /// Looks for superblocks on a part of an open device.
    pub(crate) fn look(self, file: &File, offset: u64, size: u64) -> Answer {
        // A size of zero would mean all that there is.
        let (Ok(offset), Ok(size @ 1..)) = (i64::try_from(offset), i64::try_from(size)) else {
            return if size == 0 { Answer::Nothing } else { Answer::Failed };
        };
        // SAFETY: no arguments. The result is null or a probe.
        let raw = unsafe { (self.blkid_new_probe)() };
        if raw.is_null() {
            return Answer::Failed;
        }
        let probe = Probe { library: self, raw };
        let flags = LABEL | UUID | TYPE | USAGE | VERSION | BAD_CHECKSUM;
        // SAFETY: the probe is one. The descriptor is open, and stays so for longer than the probe lives; the library
        // only reads from it. Partition tables are not looked for.
        let result = unsafe {
            let refused = (self.blkid_probe_set_device)(raw, file.as_raw_fd(), offset, size) != 0
                || (self.blkid_probe_enable_superblocks)(raw, 1) != 0
                || (self.blkid_probe_set_superblocks_flags)(raw, flags) != 0
                || (self.blkid_probe_enable_partitions)(raw, 0) != 0;
            if refused { -1 } else { (self.blkid_do_safeprobe)(raw) }
        };
        match result {
            FOUND => probe.values().map_or(Answer::Failed, Answer::Values),
            NOTHING => Answer::Nothing,
            _ => probe.each(),
        }
    }
}

impl Probe {
    /// Why there is no single answer: several superblocks, or an error.
    fn each(&self) -> Answer {
        let mut kinds = Vec::new();
        // SAFETY: the probe is one, and its device is set.
        unsafe { (self.library.blkid_reset_probe)(self.raw) };
        for _ in 0..MOST {
            // SAFETY: as above.
            match unsafe { (self.library.blkid_do_probe)(self.raw) } {
                FOUND => {
                    let values = self.values().unwrap_or_default();
                    kinds.extend(values.into_iter().find(|(name, _)| name == "TYPE").map(|(_, kind)| kind));
                }
                NOTHING if kinds.len() > 1 => return Answer::Ambivalent(kinds),
                _ => break,
            }
        }
        Answer::Failed
    }

    fn values(&self) -> Option<Vec<(String, String)>> {
        // SAFETY: the probe is one.
        let count = unsafe { (self.library.blkid_probe_numof_values)(self.raw) };
        (0..count).map(|number| self.value(number)).collect()
    }

    fn value(&self, number: c_int) -> Option<(String, String)> {
        let (mut name, mut data, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the probe is one, and each pointer is to a variable of the declared type.
        let result = unsafe {
            (self.library.blkid_probe_get_value)(
                self.raw,
                number,
                &raw mut name,
                &raw mut data,
                &raw mut length,
            )
        };
        if result != 0 || name.is_null() || data.is_null() {
            return None;
        }
        // SAFETY: the library's own string, ended by a zero, and `length` bytes that belong to the probe. Both are
        // copied before anything else is done with it.
        let (name, data) =
            unsafe { (CStr::from_ptr(name), slice::from_raw_parts(data.cast::<u8>(), length.min(LONGEST))) };
        // The length includes the zero at the end.
        let text = data.split(|byte| *byte == 0).next().unwrap_or_default();
        Some((name.to_string_lossy().into_owned(), String::from_utf8_lossy(text).into_owned()))
    }
}

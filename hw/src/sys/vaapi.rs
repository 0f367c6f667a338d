//! The Video Acceleration API: has a driver enumerate what it encodes.
//!
//! Declared after `va.h` and `va_drm.h` of libva 2.22 (Debian 13): enumerations are C ints, numbers of profiles and entry points
//! as below.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    fs::File,
    os::fd::AsRawFd,
};

use super::library::library;
use crate::{
    gpu::answer::{Answer, Codec, Failure},
    text::reported,
};

library! {
    Va = "libva.so.2" {
        fn vaInitialize(display: *mut c_void, major: *mut c_int, minor: *mut c_int) -> c_int;
        fn vaTerminate(display: *mut c_void) -> c_int;
        fn vaQueryVendorString(display: *mut c_void) -> *const c_char;
        fn vaMaxNumProfiles(display: *mut c_void) -> c_int;
        fn vaMaxNumEntrypoints(display: *mut c_void) -> c_int;
        fn vaQueryConfigProfiles(display: *mut c_void, profiles: *mut c_int, count: *mut c_int) -> c_int;
        fn vaQueryConfigEntrypoints(
            display: *mut c_void,
            profile: c_int,
            entry_points: *mut c_int,
            count: *mut c_int,
        ) -> c_int;
    }
}

library! {
    VaDrm = "libva-drm.so.2" {
        fn vaGetDisplayDRM(descriptor: c_int) -> *mut c_void;
    }
}

/// `VAEntrypointEncSlice` and `VAEntrypointEncSliceLP`: whole pictures of a video, by shaders or by fixed functions.
const ENCODES: [c_int; 2] = [6, 8];

/// `VAProfile`, by the names of the table.
const PROFILES: [(c_int, &str); 18] = [
    (0, "mpeg2"),
    (1, "mpeg2"),
    (6, "h264"),
    (7, "h264"),
    (13, "h264"),
    (14, "vp8"),
    (17, "hevc"),
    (18, "hevc-10"),
    (23, "hevc-12"),
    (24, "hevc-422"),
    (25, "hevc-422"),
    (26, "hevc-444"),
    (27, "hevc-444"),
    (19, "vp9"),
    (20, "vp9-444"),
    (21, "vp9-10"),
    (32, "av1"),
    (36, "h264-10"),
];

/// No driver has more profiles or entry points; libva itself knows about forty.
const MANY: usize = 1024;

fn check(call: &str, result: c_int) -> Result<(), Failure> {
    match result {
        0 => Ok(()),
        other => Err(Failure::Refused { call: call.into(), code: other.into() }),
    }
}

/// A display that was initialised.
struct Display {
    va: Va,
    handle: *mut c_void,
}

impl Display {
    /// The file must stay open as long as the display.
    fn of(node: &File) -> Result<Self, Failure> {
        let (va, drm) = (Va::load()?, VaDrm::load()?);
        // SAFETY: an open descriptor.
        let handle = unsafe { (drm.vaGetDisplayDRM)(node.as_raw_fd()) };
        if handle.is_null() {
            return Err(Failure::Refused { call: "vaGetDisplayDRM".into(), code: 0 });
        }
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the library's own handle, and places for two numbers.
        check("vaInitialize", unsafe { (va.vaInitialize)(handle, &raw mut major, &raw mut minor) })?;
        Ok(Self { va, handle })
    }

    fn name(&self) -> Option<String> {
        // SAFETY: an initialised display.
        let name = unsafe { (self.va.vaQueryVendorString)(self.handle) };
        // SAFETY: the library promises a text that ends with a zero and lives as long as the display.
        (!name.is_null()).then(|| reported(unsafe { CStr::from_ptr(name) }.to_bytes())).flatten()
    }

    /// A list that the driver fills: its numbers, no more than it announced.
    fn list(
        call: &str,
        announced: c_int,
        fill: impl FnOnce(*mut c_int, *mut c_int) -> c_int,
    ) -> Result<Vec<c_int>, Failure> {
        let usable = usize::try_from(announced).ok().filter(|count| (1..=MANY).contains(count));
        let announced =
            usable.ok_or_else(|| Failure::nonsense(format!("room for {announced} is asked for")))?;
        let mut list = vec![0; MANY];
        let mut count = 0;
        check(call, fill(list.as_mut_ptr(), &raw mut count))?;
        let filled = usize::try_from(count).ok().filter(|count| *count <= announced);
        list.truncate(
            filled.ok_or_else(|| Failure::nonsense(format!("{count} where {announced} is the most")))?,
        );
        Ok(list)
    }

    fn profiles(&self) -> Result<Vec<c_int>, Failure> {
        // SAFETY: an initialised display.
        let announced = unsafe { (self.va.vaMaxNumProfiles)(self.handle) };
        Self::list("vaQueryConfigProfiles", announced, |list, count| {
            // SAFETY: the list has more places than the driver announced.
            unsafe { (self.va.vaQueryConfigProfiles)(self.handle, list, count) }
        })
    }

    fn entry_points(&self, profile: c_int) -> Result<Vec<c_int>, Failure> {
        // SAFETY: an initialised display.
        let announced = unsafe { (self.va.vaMaxNumEntrypoints)(self.handle) };
        Self::list("vaQueryConfigEntrypoints", announced, |list, count| {
            // SAFETY: the list has more places than the driver announced.
            unsafe { (self.va.vaQueryConfigEntrypoints)(self.handle, profile, list, count) }
        })
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // SAFETY: an initialised display, which is ended once.
        unsafe { (self.va.vaTerminate)(self.handle) };
    }
}

/// Asks the driver of a render node.
pub(crate) fn ask(node: &File) -> Result<Answer, Failure> {
    let display = Display::of(node)?;
    let mut codecs = Vec::new();
    for profile in display.profiles()? {
        let Some((_, name)) = PROFILES.iter().find(|(number, _)| *number == profile) else { continue };
        if display.entry_points(profile)?.iter().any(|point| ENCODES.contains(point)) {
            codecs.push(Codec::named(*name));
        }
    }
    codecs.sort();
    codecs.dedup();
    Ok(Answer { name: display.name(), codecs: Some(codecs), ..Answer::default() })
}

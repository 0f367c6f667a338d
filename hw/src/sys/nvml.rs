//! NVML, NVIDIA's management library: what the driver says of a device.
//!
//! Declared after `nvml.h` of CUDA 12.4 (Debian 13's libnvidia-ml-dev 12.4.127): `sizeof(nvmlMemory_t)` is 24, names take 96
//! bytes and versions 80, codecs are 0 to 2.

use std::{
    ffi::{CString, c_char, c_int, c_uint, c_void},
    ptr,
};

use super::library::library;
use crate::{
    Bytes,
    gpu::answer::{Answer, Brand, Codec, Failure},
    text::reported,
};

library! {
    Nvml = "libnvidia-ml.so.1" {
        fn nvmlInit_v2() -> c_int;
        fn nvmlShutdown() -> c_int;
        fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> c_int;
        fn nvmlDeviceGetHandleByPciBusId_v2(address: *const c_char, device: *mut Device) -> c_int;
        fn nvmlDeviceGetName(device: Device, name: *mut c_char, length: c_uint) -> c_int;
        fn nvmlDeviceGetMemoryInfo(device: Device, memory: *mut Memory) -> c_int;
        fn nvmlDeviceGetEncoderCapacity(device: Device, codec: c_int, percent: *mut c_uint) -> c_int;
    }
    optional {
        fn nvmlDeviceGetBrand(device: Device, brand: *mut c_int) -> c_int;
        fn nvmlDeviceGetEncoderStats(
            device: Device,
            sessions: *mut c_uint,
            frames: *mut c_uint,
            microseconds: *mut c_uint,
        ) -> c_int;
    }
}

type Device = *mut c_void;

/// `nvmlMemory_t`.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

const _: () = assert!(size_of::<Memory>() == 24);

/// `nvmlReturn_t`.
mod code {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const INVALID_ARGUMENT: i32 = 2;
    pub(super) const NOT_SUPPORTED: i32 = 3;
    pub(super) const DRIVER_NOT_LOADED: i32 = 9;
    pub(super) const LIBRARY_MISMATCH: i32 = 18;
}

/// `nvmlEncoderType_t`, by the names of the table.
const CODECS: [(c_int, &str); 3] = [(0, "h264"), (1, "hevc"), (2, "av1")];

/// `nvmlBrandType_t`.
const GEFORCE: [c_int; 2] = [5, 15];
/// Unknown, and the Titans of several years.
const NEITHER: [c_int; 3] = [0, 6, 16];

/// Ends the use of the library.
struct Running(Nvml);

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: nvmlInit_v2 succeeded.
        unsafe { (self.0.nvmlShutdown)() };
    }
}

fn check(call: &str, result: c_int) -> Result<(), Failure> {
    match result {
        code::SUCCESS => Ok(()),
        code::LIBRARY_MISMATCH => Err(Failure::Mismatch),
        code::DRIVER_NOT_LOADED => Err(Failure::NotLoaded),
        other => Err(Failure::Refused { call: call.into(), code: other.into() }),
    }
}

/// A text that a function writes into a buffer of `N` bytes, ended by the first zero or by the buffer.
fn text<const N: usize>(call: impl FnOnce(*mut c_char, c_uint) -> c_int) -> Option<String> {
    let mut buffer = [0u8; N];
    let result = call(buffer.as_mut_ptr().cast(), c_uint::try_from(N).ok()?);
    let length = buffer.iter().position(|byte| *byte == 0).unwrap_or(N);
    (result == code::SUCCESS).then(|| reported(&buffer[..length])).flatten()
}

/// Asks about the device at an address of the PCI bus.
pub(crate) fn ask(address: &str) -> Result<Answer, Failure> {
    let bus = CString::new(address).map_err(|_nul| Failure::nonsense("a zero in an address"))?;
    let library = Nvml::load()?;
    // SAFETY: no arguments.
    check("nvmlInit_v2", unsafe { (library.nvmlInit_v2)() })?;
    let running = Running(library);
    let nvml = &running.0;
    let mut device = ptr::null_mut();
    // SAFETY: a text that ends with a zero, and a place for the handle.
    let result = unsafe { (nvml.nvmlDeviceGetHandleByPciBusId_v2)(bus.as_ptr(), &raw mut device) };
    check("nvmlDeviceGetHandleByPciBusId_v2", result)?;
    let sessions = sessions(nvml, device);
    Ok(Answer {
        // SAFETY: the buffer has the length that is passed.
        version: text::<80>(|to, length| unsafe { (nvml.nvmlSystemGetDriverVersion)(to, length) }),
        // SAFETY: as before; the handle is the library's own.
        name: text::<96>(|to, length| unsafe { (nvml.nvmlDeviceGetName)(device, to, length) }),
        brand: brand(nvml, device),
        memory: memory(nvml, device),
        codecs: codecs(nvml, device, sessions)?,
        sessions,
        ..Answer::default()
    })
}

fn brand(nvml: &Nvml, device: Device) -> Option<Brand> {
    let mut brand = 0;
    // SAFETY: the library's own handle, and a place for an enumeration.
    let result = unsafe { nvml.nvmlDeviceGetBrand?(device, &raw mut brand) };
    match (result, brand) {
        (code::SUCCESS, brand) if GEFORCE.contains(&brand) => Some(Brand::GeForce),
        (code::SUCCESS, brand) if !NEITHER.contains(&brand) => Some(Brand::Professional),
        _ => None,
    }
}

fn memory(nvml: &Nvml, device: Device) -> Option<Bytes> {
    let mut memory = Memory::default();
    // SAFETY: the library's own handle, and a structure of the size that the header has.
    let result = unsafe { (nvml.nvmlDeviceGetMemoryInfo)(device, &raw mut memory) };
    (result == code::SUCCESS).then_some(Bytes(memory.total))
}

fn sessions(nvml: &Nvml, device: Device) -> Option<u32> {
    let (mut sessions, mut frames, mut latency) = (0, 0, 0);
    // SAFETY: the library's own handle, and places for three numbers.
    let result = unsafe {
        nvml.nvmlDeviceGetEncoderStats?(device, &raw mut sessions, &raw mut frames, &raw mut latency)
    };
    (result == code::SUCCESS).then_some(sessions)
}

/// The codecs that the encoder has capacity for. A busy encoder has none left, and encodes all the same.
fn codecs(nvml: &Nvml, device: Device, sessions: Option<u32>) -> Result<Option<Vec<Codec>>, Failure> {
    let mut said = None;
    for (number, name) in CODECS {
        let mut percent = 0;
        // SAFETY: the library's own handle, and a place for a number.
        let result = unsafe { (nvml.nvmlDeviceGetEncoderCapacity)(device, number, &raw mut percent) };
        match result {
            code::SUCCESS if percent > 100 => {
                return Err(Failure::nonsense(format!("{percent} percent of capacity for {name}")));
            }
            code::SUCCESS if percent > 0 || sessions.is_some_and(|open| open > 0) => {
                said.get_or_insert_with(Vec::new).push(Codec::named(name));
            }
            code::SUCCESS | code::NOT_SUPPORTED => drop(said.get_or_insert_with(Vec::new)),
            // The library is older than the codec.
            code::INVALID_ARGUMENT => {}
            other => check("nvmlDeviceGetEncoderCapacity", other)?,
        }
    }
    Ok(said)
}

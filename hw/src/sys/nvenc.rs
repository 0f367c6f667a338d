//! NVENC: opens a session of the encoder and has it enumerate what it does.
//!
//! Declared after `nvEncodeAPI.h`. Sizes and offsets of everything here are the same in versions 9.1 to 13.0, compared by
//! compiling all of them (nv-codec-headers, commits up to f2fb9b3): the parameters of a session take 1552 bytes with the
//! device at 8 and the version at 24, the list of functions 2552 with GUID count, GUIDs, capabilities, destruction and
//! opening at 16, 40, 64, 224 and 240, a question about a capability 256. The library of driver 550.163.01 takes the list in
//! every one of these versions, says 12.2 of itself, and fills these functions in.

use std::{
    ffi::{CString, c_char, c_int, c_uint, c_void},
    mem::offset_of,
    ptr,
};

use super::library::library;
use crate::gpu::answer::{Answer, Codec, Failure};

library! {
    Cuda = "libcuda.so.1" {
        fn cuInit(flags: c_uint) -> c_int;
        fn cuDeviceGetByPCIBusId(device: *mut c_int, address: *const c_char) -> c_int;
        fn cuCtxCreate_v2(context: *mut *mut c_void, flags: c_uint, device: c_int) -> c_int;
        fn cuCtxDestroy_v2(context: *mut c_void) -> c_int;
    }
}

library! {
    Encode = "libnvidia-encode.so.1" {
        fn NvEncodeAPIGetMaxSupportedVersion(version: *mut u32) -> c_int;
        fn NvEncodeAPICreateInstance(functions: *mut Functions) -> c_int;
    }
}

/// A GUID of the encoder's interface.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Guid(u32, u16, u16, [u8; 8]);

const H264: Guid = Guid(0x6bc8_2762, 0x4e63, 0x4ca4, [0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf]);
const HEVC: Guid = Guid(0x790c_dc88, 0x4522, 0x4d7b, [0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03]);
const AV1: Guid = Guid(0x0a35_2289, 0x0aa7, 0x4759, [0x86, 0x2d, 0x5d, 0x15, 0xcd, 0x16, 0xd2, 0x54]);

/// `NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS`.
#[repr(C)]
struct OpenParameters {
    version: u32,
    device_type: u32,
    device: *mut c_void,
    reserved: *mut c_void,
    api_version: u32,
    reserved1: [u32; 253],
    reserved2: [*mut c_void; 64],
}

/// `NV_ENC_CAPS_PARAM`.
#[repr(C)]
struct CapabilityParameters {
    version: u32,
    capability: u32,
    reserved: [u32; 62],
}

type Function = Option<unsafe extern "C" fn()>;

/// `NV_ENCODE_API_FUNCTION_LIST`, with the functions that are not called here as nameless pointers.
#[repr(C)]
struct Functions {
    version: u32,
    reserved: u32,
    open_old: Function,
    guid_count: Option<unsafe extern "C" fn(*mut c_void, *mut u32) -> c_int>,
    profiles: [Function; 2],
    guids: Option<unsafe extern "C" fn(*mut c_void, *mut Guid, u32, *mut u32) -> c_int>,
    formats: [Function; 2],
    capability:
        Option<unsafe extern "C" fn(*mut c_void, Guid, *mut CapabilityParameters, *mut c_int) -> c_int>,
    between: [Function; 19],
    destroy: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    invalidate: Function,
    open: Option<unsafe extern "C" fn(*mut OpenParameters, *mut *mut c_void) -> c_int>,
    rest: [Function; 288],
}

const _: () = {
    assert!(size_of::<OpenParameters>() == 1552 && size_of::<CapabilityParameters>() == 256);
    assert!(offset_of!(OpenParameters, device) == 8 && offset_of!(OpenParameters, api_version) == 24);
    assert!(size_of::<Functions>() == 2552 && size_of::<Guid>() == 16);
    assert!(offset_of!(Functions, guid_count) == 16 && offset_of!(Functions, guids) == 40);
    assert!(offset_of!(Functions, capability) == 64 && offset_of!(Functions, destroy) == 224);
    assert!(offset_of!(Functions, open) == 240);
};

/// Versions of the interface that are known here, newest first. A driver speaks its own and every older one.
const VERSIONS: [Version; 8] = [
    Version(13, 0),
    Version(12, 2),
    Version(12, 1),
    Version(12, 0),
    Version(11, 1),
    Version(11, 0),
    Version(10, 0),
    Version(9, 1),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    /// `NvEncodeAPIGetMaxSupportedVersion` has the minor part in the last four bits.
    fn of_driver(number: u32) -> Self {
        Self(number >> 4, number & 15)
    }

    /// `NVENCAPI_VERSION`.
    fn api(self) -> u32 {
        self.0 | self.1 << 24
    }

    /// `NVENCAPI_STRUCT_VERSION`.
    fn of_struct(self, number: u32) -> u32 {
        self.api() | number << 16 | 7 << 28
    }
}

/// `NV_ENC_DEVICE_TYPE_CUDA`.
const CUDA: u32 = 1;

/// `NVENCSTATUS`.
mod code {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const NO_ENCODE_DEVICE: i32 = 1;
    pub(super) const UNSUPPORTED_DEVICE: i32 = 2;
    pub(super) const OUT_OF_MEMORY: i32 = 10;
    pub(super) const INCOMPATIBLE_CLIENT_KEY: i32 = 21;
}

/// `CUresult`: the library is of another version than the kernel's module.
const CUDA_MISMATCH: i32 = 803;

/// `NV_ENC_CAPS`.
mod capability {
    pub(super) const B_FRAMES: u32 = 0;
    pub(super) const WIDTH: u32 = 16;
    pub(super) const HEIGHT: u32 = 17;
    pub(super) const YUV444: u32 = 33;
    pub(super) const TEN_BITS: u32 = 39;
    /// Since 12.0.
    pub(super) const ENGINES: u32 = 49;
    /// Since 13.0.
    pub(super) const YUV422: u32 = 59;
}

/// More codecs than this are not an answer.
const MANY: u32 = 64;

fn check(call: &str, result: c_int) -> Result<(), Failure> {
    match result {
        code::SUCCESS => Ok(()),
        other => Err(Failure::Refused { call: call.into(), code: other.into() }),
    }
}

/// A CUDA context on the device.
struct Context {
    cuda: Cuda,
    context: *mut c_void,
}

impl Context {
    fn on(address: &str) -> Result<Self, Failure> {
        let bus = CString::new(address).map_err(|_nul| Failure::nonsense("a zero in an address"))?;
        let cuda = Cuda::load()?;
        // SAFETY: no flags are defined.
        match unsafe { (cuda.cuInit)(0) } {
            CUDA_MISMATCH => return Err(Failure::Mismatch),
            result => check("cuInit", result)?,
        }
        let mut device = 0;
        // SAFETY: a place for a number, and a text that ends with a zero.
        let result = unsafe { (cuda.cuDeviceGetByPCIBusId)(&raw mut device, bus.as_ptr()) };
        check("cuDeviceGetByPCIBusId", result)?;
        let mut context = ptr::null_mut();
        // SAFETY: a place for the handle, and a device of the library's own.
        let result = unsafe { (cuda.cuCtxCreate_v2)(&raw mut context, 0, device) };
        check("cuCtxCreate_v2", result)?;
        Ok(Self { cuda, context })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was made by this library and is destroyed once.
        unsafe { (self.cuda.cuCtxDestroy_v2)(self.context) };
    }
}

/// The functions of the driver, all of them there.
struct Api {
    version: Version,
    guid_count: unsafe extern "C" fn(*mut c_void, *mut u32) -> c_int,
    guids: unsafe extern "C" fn(*mut c_void, *mut Guid, u32, *mut u32) -> c_int,
    capability: unsafe extern "C" fn(*mut c_void, Guid, *mut CapabilityParameters, *mut c_int) -> c_int,
    destroy: unsafe extern "C" fn(*mut c_void) -> c_int,
    open: unsafe extern "C" fn(*mut OpenParameters, *mut *mut c_void) -> c_int,
}

impl Api {
    fn new() -> Result<Self, Failure> {
        let library = Encode::load()?;
        let mut number = 0;
        // SAFETY: a place for a number.
        let result = unsafe { (library.NvEncodeAPIGetMaxSupportedVersion)(&raw mut number) };
        check("NvEncodeAPIGetMaxSupportedVersion", result)?;
        let newest = Version::of_driver(number);
        let too_old = || Failure::TooOld { version: format!("{}.{}", newest.0, newest.1) };
        let version = VERSIONS.into_iter().find(|known| *known <= newest).ok_or_else(too_old)?;
        // SAFETY: an all-zero list is valid: numbers and functions that are not there.
        let mut list: Functions = unsafe { std::mem::zeroed() };
        list.version = version.of_struct(2);
        // SAFETY: a list of the size that its version has.
        let result = unsafe { (library.NvEncodeAPICreateInstance)(&raw mut list) };
        check("NvEncodeAPICreateInstance", result)?;
        let missing = || Failure::nonsense("a function that was not filled in");
        Ok(Self {
            version,
            guid_count: list.guid_count.ok_or_else(missing)?,
            guids: list.guids.ok_or_else(missing)?,
            capability: list.capability.ok_or_else(missing)?,
            destroy: list.destroy.ok_or_else(missing)?,
            open: list.open.ok_or_else(missing)?,
        })
    }
}

/// An open session of the encoder.
struct Session<'a> {
    api: &'a Api,
    encoder: *mut c_void,
}

impl<'a> Session<'a> {
    /// `None` when the device has no encoder.
    fn open(api: &'a Api, context: &Context) -> Result<Option<Self>, Failure> {
        let mut parameters = OpenParameters {
            version: api.version.of_struct(1),
            device_type: CUDA,
            device: context.context,
            reserved: ptr::null_mut(),
            api_version: api.version.api(),
            reserved1: [0; 253],
            reserved2: [ptr::null_mut(); 64],
        };
        let mut encoder = ptr::null_mut();
        // SAFETY: parameters of the size that their version has, with a living context, and a place for the handle.
        let result = unsafe { (api.open)(&raw mut parameters, &raw mut encoder) };
        // A session that could not be opened is destroyed too, as the interface's guide asks.
        let session = (!encoder.is_null()).then(|| Self { api, encoder });
        match result {
            code::SUCCESS => session.map(Some).ok_or_else(|| Failure::nonsense("a session without a handle")),
            code::NO_ENCODE_DEVICE | code::UNSUPPORTED_DEVICE => Ok(None),
            code::OUT_OF_MEMORY | code::INCOMPATIBLE_CLIENT_KEY => {
                Err(Failure::Limit { code: result.into() })
            }
            other => Err(Failure::Refused { call: "nvEncOpenEncodeSessionEx".into(), code: other.into() }),
        }
    }

    fn guids(&self) -> Result<Vec<Guid>, Failure> {
        let mut count = 0;
        // SAFETY: an open session, and a place for a number.
        let result = unsafe { (self.api.guid_count)(self.encoder, &raw mut count) };
        check("nvEncGetEncodeGUIDCount", result)?;
        if count > MANY {
            return Err(Failure::nonsense(format!("{count} codecs")));
        }
        let mut guids = vec![Guid::default(); MANY as usize];
        let mut filled = 0;
        // SAFETY: an open session; the list has more places than are asked for.
        let result = unsafe { (self.api.guids)(self.encoder, guids.as_mut_ptr(), count, &raw mut filled) };
        check("nvEncGetEncodeGUIDs", result)?;
        if filled > count {
            return Err(Failure::nonsense(format!("{filled} codecs where there were {count}")));
        }
        guids.truncate(filled as usize);
        Ok(guids)
    }

    /// A capability; 0 when the driver does not know it.
    fn capability(&self, codec: Guid, capability: u32) -> u32 {
        let mut parameters =
            CapabilityParameters { version: self.api.version.of_struct(1), capability, reserved: [0; 62] };
        let mut value = 0;
        // SAFETY: an open session, a question of the size that its version has, and a place for a number.
        let result =
            unsafe { (self.api.capability)(self.encoder, codec, &raw mut parameters, &raw mut value) };
        if result == code::SUCCESS { u32::try_from(value).unwrap_or(0) } else { 0 }
    }

    /// The codecs of a GUID by the names of the table; nothing for one that is not known here.
    fn codecs(&self, guid: Guid) -> Vec<Codec> {
        let name = match guid {
            H264 => "h264",
            HEVC => "hevc",
            AV1 => "av1",
            _ => return Vec::new(),
        };
        let has = |capability| self.capability(guid, capability) > 0;
        let largest = (self.capability(guid, capability::WIDTH), self.capability(guid, capability::HEIGHT));
        let mut names = vec![name.to_owned()];
        let variants = [
            ("10", has(capability::TEN_BITS)),
            ("422", self.api.version >= Version(13, 0) && has(capability::YUV422)),
            ("444", has(capability::YUV444)),
            // Every encoder makes B-frames of H.264; which of HEVC is what differs.
            ("b", guid == HEVC && has(capability::B_FRAMES)),
        ];
        names.extend(variants.iter().filter(|(_, has)| *has).map(|(suffix, _)| format!("{name}-{suffix}")));
        let largest = (largest.0 > 0 && largest.1 > 0).then_some(largest);
        names.into_iter().map(|name| Codec { name, largest }).collect()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: the session was opened by this driver and is destroyed once.
        unsafe { (self.api.destroy)(self.encoder) };
    }
}

/// Opens a session on the device at an address of the PCI bus, and asks what it encodes.
pub(crate) fn ask(address: &str) -> Result<Answer, Failure> {
    let api = Api::new()?;
    let context = Context::on(address)?;
    let mut answer = Answer {
        version: Some(format!("{}.{}", api.version.0, api.version.1)),
        codecs: Some(Vec::new()),
        ..Answer::default()
    };
    let Some(session) = Session::open(&api, &context)? else { return Ok(answer) };
    let guids = session.guids()?;
    answer.codecs = Some(guids.iter().flat_map(|guid| session.codecs(*guid)).collect());
    if let Some(guid) = guids.first().filter(|_| api.version >= Version(12, 0)) {
        answer.encoders = Some(session.capability(*guid, capability::ENGINES)).filter(|count| *count > 0);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_headers_compute_them() {
        // NVENCAPI_VERSION and structure versions, printed by programs that include 12.1 and 13.0.
        assert_eq!(Version(12, 1).api(), 0x0100_000c);
        assert_eq!(Version(12, 1).of_struct(1), 0x7101_000c);
        assert_eq!(Version(12, 1).of_struct(2), 0x7102_000c);
        assert_eq!(Version(13, 0).of_struct(2), 0x7002_000d);
        assert_eq!(Version::of_driver(0xc1), Version(12, 1));
        assert!(VERSIONS.is_sorted_by(|newer, older| newer > older));
    }
}

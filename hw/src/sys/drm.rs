//! What the kernel's graphics drivers say of their video engines: ioctls on a render node.
//!
//! Declared after `amdgpu_drm.h` and `i915_drm.h` of libdrm 2.4.124 (Debian 13) and `xe_drm.h` of Linux 6.13; sizes and request
//! numbers were printed by a program that includes them.

use std::{fs::File, io, mem, os::fd::AsRawFd};

use crate::gpu::answer::{Answer, Codec, Failure};

const DRM_IOCTL_AMDGPU_INFO: libc::c_ulong = 0x4020_6445;
const DRM_IOCTL_I915_QUERY: libc::c_ulong = 0xc010_6479;
const DRM_IOCTL_XE_DEVICE_QUERY: libc::c_ulong = 0xc028_6440;

/// Structures without padding, of numbers alone: any bytes are a valid value.
trait Plain: Copy + Sized {
    fn zeroed() -> Self {
        // SAFETY: implemented below for structures of integers only.
        unsafe { mem::zeroed() }
    }
}

fn ioctl<T: Plain>(node: &File, request: libc::c_ulong, argument: &mut T) -> io::Result<()> {
    // SAFETY: each request is called with the structure that its number has the size of, and pointers in it are to buffers
    // of the sizes beside them.
    let result = unsafe { libc::ioctl(node.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn refused(call: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Refused { call: call.into(), code: error.raw_os_error().unwrap_or(0).into() }
}

/// `struct drm_amdgpu_info` with the two queries that are made here.
#[repr(C)]
#[derive(Clone, Copy)]
struct AmdgpuInfo {
    return_pointer: u64,
    return_size: u32,
    query: u32,
    kind: u32,
    instance: u32,
    rest: [u32; 2],
}

/// `struct drm_amdgpu_info_video_caps`: valid, width, height, pixels, level and padding of eight codecs.
#[repr(C)]
#[derive(Clone, Copy)]
struct VideoCaps([[u32; 6]; 8]);

#[repr(C)]
#[derive(Clone, Copy)]
struct Number(u32);

#[repr(C)]
#[derive(Clone, Copy)]
struct I915Query {
    items: u32,
    flags: u32,
    items_pointer: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct I915Item {
    query: u64,
    length: i32,
    flags: u32,
    pointer: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct XeQuery {
    extensions: u64,
    query: u32,
    size: u32,
    data: u64,
    reserved: [u64; 2],
}

impl Plain for AmdgpuInfo {}
impl Plain for VideoCaps {}
impl Plain for Number {}
impl Plain for I915Query {}
impl Plain for I915Item {}
impl Plain for XeQuery {}

const _: () = {
    assert!(size_of::<AmdgpuInfo>() == 32 && size_of::<VideoCaps>() == 192);
    assert!(size_of::<I915Query>() == 16 && size_of::<I915Item>() == 24 && size_of::<XeQuery>() == 40);
};

const AMDGPU_INFO_HW_IP_COUNT: u32 = 3;
const AMDGPU_INFO_VIDEO_CAPS: u32 = 0x21;
const VIDEO_CAPS_ENCODE: u32 = 1;

/// `AMDGPU_HW_IP_*` of blocks that encode: VCE, UVD's encoder, VCN's encoder.
const ENCODERS: [u32; 3] = [4, 5, 7];

/// `AMDGPU_INFO_VIDEO_CAPS_CODEC_IDX_*` of what is encoded, by the names of the table.
const CODECS: [(usize, &str); 4] = [(3, "h264"), (4, "hevc"), (6, "vp9"), (7, "av1")];

fn amdgpu_info<T: Plain>(node: &File, query: u32, kind: u32) -> io::Result<T> {
    let mut value = T::zeroed();
    let mut info = AmdgpuInfo { query, kind, ..AmdgpuInfo::zeroed() };
    info.return_pointer = std::ptr::from_mut(&mut value) as u64;
    info.return_size = u32::try_from(size_of::<T>()).unwrap_or(0);
    ioctl(node, DRM_IOCTL_AMDGPU_INFO, &mut info)?;
    Ok(value)
}

/// AMDGPU: blocks that encode, and the largest picture of each codec.
pub(crate) fn amdgpu(node: &File) -> Result<Answer, Failure> {
    let caps: VideoCaps = amdgpu_info(node, AMDGPU_INFO_VIDEO_CAPS, VIDEO_CAPS_ENCODE)
        .map_err(refused("AMDGPU_INFO_VIDEO_CAPS"))?;
    let count = |kind| amdgpu_info(node, AMDGPU_INFO_HW_IP_COUNT, kind).map_or(0, |Number(count)| count);
    let encoders = ENCODERS.iter().fold(0, |sum: u32, kind| sum.saturating_add(count(*kind)));
    Ok(Answer { encoders: Some(encoders), codecs: Some(codecs(&caps)), ..Answer::default() })
}

fn codecs(caps: &VideoCaps) -> Vec<Codec> {
    let known = CODECS.iter().filter_map(|(index, name)| Some((name, caps.0.get(*index)?)));
    let valid = known.filter(|(_, codec)| codec[0] != 0);
    valid.map(|(name, codec)| Codec { name: (*name).into(), largest: Some((codec[1], codec[2])) }).collect()
}

/// Engine class of i915 and Xe that decodes and, but for the oldest, encodes.
const VIDEO: u16 = 2;

/// More bytes than any driver's list of engines has.
const ENGINES_LIMIT: usize = 1 << 16;

/// Engines of the video class in a list: a count in the first four bytes, entries that begin with their class.
fn video_engines(list: &[u8], header: usize, entry: usize) -> Result<u32, Failure> {
    let short = || Failure::nonsense("a list of engines that is too short");
    let count = list.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes)).ok_or_else(short)?;
    let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(entry)).ok_or_else(short)?;
    let entries = list.get(header..).and_then(|rest| rest.get(..size)).ok_or_else(short)?;
    let classes = entries.chunks_exact(entry).filter_map(|bytes| bytes.first_chunk::<2>());
    Ok(u32::try_from(classes.filter(|class| u16::from_ne_bytes(**class) == VIDEO).count())
        .unwrap_or(u32::MAX))
}

/// A buffer of a size that the driver announced, of 8-byte words for the alignment of what it writes.
fn buffer(size: usize) -> Result<Vec<u64>, Failure> {
    if size == 0 || size > ENGINES_LIMIT {
        return Err(Failure::nonsense(format!("a list of engines of {size} bytes")));
    }
    Ok(vec![0; size.div_ceil(8)])
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// i915: engines of the video class.
pub(crate) fn i915(node: &File) -> Result<Answer, Failure> {
    const ENGINE_INFO: u64 = 2;
    let ask = |length: i32, pointer: u64| {
        let mut item = I915Item { query: ENGINE_INFO, length, flags: 0, pointer };
        let mut query = I915Query { items: 1, flags: 0, items_pointer: std::ptr::from_mut(&mut item) as u64 };
        ioctl(node, DRM_IOCTL_I915_QUERY, &mut query).map_err(refused("DRM_I915_QUERY"))?;
        // A negative length is the error of this item.
        usize::try_from(item.length).map_err(|_negative| Failure::Refused {
            call: "DRM_I915_QUERY_ENGINE_INFO".into(),
            code: item.length.into(),
        })
    };
    let size = ask(0, 0)?;
    let mut words = buffer(size)?;
    let written = ask(i32::try_from(size).unwrap_or(0), words.as_mut_ptr() as u64)?;
    let list = bytes(&words);
    let engines = video_engines(list.get(..written).unwrap_or(&list), 16, 56)?;
    Ok(Answer { video_engines: Some(engines), ..Answer::default() })
}

/// Xe: engines of the video class.
pub(crate) fn xe(node: &File) -> Result<Answer, Failure> {
    const ENGINES: u32 = 0;
    let mut query = XeQuery { query: ENGINES, ..XeQuery::zeroed() };
    ioctl(node, DRM_IOCTL_XE_DEVICE_QUERY, &mut query).map_err(refused("DRM_XE_DEVICE_QUERY"))?;
    let mut words = buffer(query.size as usize)?;
    query.data = words.as_mut_ptr() as u64;
    ioctl(node, DRM_IOCTL_XE_DEVICE_QUERY, &mut query).map_err(refused("DRM_XE_DEVICE_QUERY"))?;
    let engines = video_engines(&bytes(&words), 8, 32)?;
    Ok(Answer { video_engines: Some(engines), ..Answer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_of_a_navi_48() {
        let mut caps = VideoCaps::zeroed();
        caps.0[3] = [1, 4096, 4096, 4096 * 4096, 0, 0];
        caps.0[4] = [1, 8192, 4352, 8192 * 4352, 0, 0];
        // Decoders of JPEG are no encoders of videos.
        caps.0[5] = [1, 4096, 4096, 4096 * 4096, 0, 0];
        caps.0[7] = [1, 8192, 4352, 8192 * 4352, 0, 0];
        let names: Vec<_> = codecs(&caps).into_iter().map(|codec| (codec.name, codec.largest)).collect();
        let expected = [("h264", (4096, 4096)), ("hevc", (8192, 4352)), ("av1", (8192, 4352))];
        assert_eq!(names, expected.map(|(name, largest)| (name.to_owned(), Some(largest))));
    }

    #[test]
    fn engines_are_counted_and_lying_counts_are_refused() {
        let entry = |class: u16| [class.to_ne_bytes().to_vec(), vec![0; 30]].concat();
        let mut list =
            [3u32.to_ne_bytes().to_vec(), vec![0; 4], entry(0), entry(VIDEO), entry(VIDEO)].concat();
        assert_eq!(video_engines(&list, 8, 32), Ok(2));
        list[0] = 4;
        assert!(matches!(video_engines(&list, 8, 32), Err(Failure::Nonsense { .. })));
        list[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(video_engines(&list, 8, 32).is_err() && video_engines(&[1, 0], 8, 32).is_err());
        assert!(buffer(0).is_err() && buffer(ENGINES_LIMIT + 1).is_err());
    }

    #[test]
    fn a_file_that_is_no_render_node_refuses() {
        let file = File::open("/dev/null").unwrap();
        let enotty = i64::from(libc::ENOTTY);
        for answer in [amdgpu(&file), i915(&file), xe(&file)] {
            assert!(matches!(&answer, Err(Failure::Refused { code, .. }) if *code == enotty), "{answer:?}");
        }
    }
}

//! Images on their way to devices that behave, and to others that do not.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "flash/holes.rs"]
mod holes;
#[cfg(target_os = "linux")]
#[path = "flash/ring.rs"]
mod ring;
#[path = "flash/sick.rs"]
mod sick;
#[path = "flash/ways.rs"]
mod ways;

use std::{
    io::{self, Cursor, Read},
    sync::atomic::Ordering,
    time::Duration,
};

use aegis_core::crypto::Sha256;
use aegis_installer::flash::{self, Event, Failure, Image, Options, Order, Outcome, Phase, Target};
use sick::{MIB, Memory};
use ways::{Way, both_ways};

both_ways! {
    an_image_of_any_length_arrives_and_nothing_else_changes
    sectors_of_4096_bytes
    a_device_that_is_too_small_is_not_touched
    a_wrong_digest_leaves_nothing_that_starts
    an_image_that_breaks_off_is_told_with_its_place
    a_device_that_changes_what_it_keeps_is_found_out
    a_forged_capacity_is_found_before_the_image_is_written
    errors_that_pass_are_tried_again_and_others_are_told
    one_bad_device_harms_no_other
    a_device_that_loses_its_power_starts_only_when_it_is_whole
    every_phase_is_told_in_its_order
    a_slow_device_gets_a_feed_of_its_own
    an_update_writes_only_what_differs
    stopping_leaves_nothing_that_starts
    writes_that_arrive_in_part_are_made_whole
    the_fifth_error_in_a_row_is_the_last
}

/// An image in memory, which may break off.
struct Bytes {
    data: Vec<u8>,
    known: bool,
    breaks_at: Option<usize>,
}

impl Bytes {
    fn new(length: usize) -> Self {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        Self { data: (0..length).map(|_| next()).collect(), known: true, breaks_at: None }
    }
}

struct Breaking(Cursor<Vec<u8>>, Option<usize>);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.1.map_or(usize::MAX, |at| at - usize::try_from(self.0.position()).unwrap());
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is damaged"));
        }
        let n = buffer.len().min(left);
        self.0.read(&mut buffer[..n])
    }
}

impl Image for Bytes {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Breaking(Cursor::new(self.data.clone()), self.breaks_at)))
    }

    fn length(&self) -> Option<u64> {
        self.known.then_some(self.data.len() as u64)
    }
}

fn write(way: Way, image: &Bytes, devices: &[&Memory], options: Options) -> Vec<Outcome> {
    write_watched(way, image, devices, options, &mut |_| true)
}

fn write_watched(
    way: Way,
    image: &Bytes,
    devices: &[&Memory],
    options: Options,
    observer: &mut dyn FnMut(Event) -> bool,
) -> Vec<Outcome> {
    let targets: Vec<Box<Target>> = devices.iter().map(|device| way.target(device)).collect();
    flash::flash(&Order { image, targets: &targets, options }, observer)
}

fn assert_ends_at(outcomes: &[Outcome], place: u64) {
    let [Outcome::NotBootable(Failure::Device { operation: "write", offset, .. })] = outcomes else {
        panic!("{outcomes:?}")
    };
    assert_eq!(*offset, place);
}

/// Nothing takes the device for a medium.
fn assert_blank_head(device: &Memory) {
    assert!(device.content()[..MIB].iter().all(|byte| *byte == 0), "the head is not blank");
}

fn an_image_of_any_length_arrives_and_nothing_else_changes(way: Way) {
    for length in [1, 511, 512, MIB - 1, MIB, MIB + 1, 3 * MIB, 12 * MIB + 700] {
        for known in [true, false] {
            let image = Bytes { known, ..Bytes::new(length) };
            let device = Memory::new(16 * MIB, 512);
            let outcomes = write(way, &image, &[&device], Options::default());
            let [Outcome::Complete { length: told, sha256, .. }] = outcomes.as_slice() else {
                panic!("{length}: {outcomes:?}")
            };
            assert_eq!((*told, *sha256), (length as u64, Sha256::of(&image.data)));
            let content = device.content();
            assert!(content[..length] == image.data, "{length}");
            let padded = length.next_multiple_of(512);
            assert!(content[length..padded].iter().all(|byte| *byte == 0));
            // Beyond the image only tables and the places of the capacity test may change, and only to zeros.
            assert!(content[padded..].iter().all(|byte| [0, Memory::OLD].contains(byte)));
        }
    }
}

fn sectors_of_4096_bytes(way: Way) {
    let image = Bytes::new(2 * MIB + 5000);
    let device = Memory::new(8 * MIB, 4096);
    assert!(matches!(write(way, &image, &[&device], Options::default())[..], [Outcome::Complete { .. }]));
    assert_eq!(device.content()[..image.data.len()], image.data);
}

fn a_device_that_is_too_small_is_not_touched(way: Way) {
    let image = Bytes::new(5 * MIB);
    let device = Memory::new(4 * MIB, 512);
    let outcomes = write(way, &image, &[&device], Options::default());
    assert!(matches!(outcomes[..], [Outcome::Untouched(Failure::TooLarge { .. })]), "{outcomes:?}");
    assert!(device.content().iter().all(|byte| *byte == Memory::OLD));
    // Where the length is not known before, the end of the device ends it.
    let outcomes = write(way, &Bytes { known: false, ..image }, &[&device], Options::default());
    assert!(matches!(outcomes[..], [Outcome::NotBootable(Failure::TooLarge { .. })]), "{outcomes:?}");
    assert_blank_head(&device);
}

fn a_wrong_digest_leaves_nothing_that_starts(way: Way) {
    let image = Bytes::new(5 * MIB);
    let device = Memory::new(8 * MIB, 512);
    let expected = Some((Sha256::of(b"another"), "SHA256SUMS".to_owned()));
    let outcomes = write(way, &image, &[&device], Options { expected, ..Options::default() });
    assert!(
        matches!(&outcomes[..], [Outcome::NotBootable(Failure::Digest { by, .. })] if by == "SHA256SUMS")
    );
    assert_blank_head(&device);
    let expected = Some((Sha256::of(&image.data), "SHA256SUMS".to_owned()));
    let outcomes = write(way, &image, &[&device], Options { expected, ..Options::default() });
    assert!(matches!(outcomes[..], [Outcome::Complete { .. }]));
}

fn an_image_that_breaks_off_is_told_with_its_place(way: Way) {
    let image = Bytes { breaks_at: Some(3 * MIB + 100), ..Bytes::new(5 * MIB) };
    let device = Memory::new(8 * MIB, 512);
    let outcomes = write(way, &image, &[&device], Options::default());
    let [Outcome::NotBootable(Failure::Image { offset, source })] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!((*offset, source.to_string().as_str()), (3 * MIB as u64, "the archive is damaged"));
    assert_blank_head(&device);
}

fn a_device_that_changes_what_it_keeps_is_found_out(way: Way) {
    for at in [MIB + 5, 4 * MIB, 5 * MIB - 700, 100] {
        let image = Bytes::new(5 * MIB);
        let device = Memory::new(8 * MIB, 512);
        device.sick.lock().unwrap().flips = Some(at);
        let outcomes = write(way, &image, &[&device], Options::default());
        let [Outcome::NotBootable(Failure::ReadBack { offset })] = &outcomes[..] else {
            panic!("{at}: {outcomes:?}")
        };
        assert_eq!(*offset, (at / MIB * MIB) as u64);
        assert_blank_head(&device);
    }
}

fn a_forged_capacity_is_found_before_the_image_is_written(way: Way) {
    for real in [3 * MIB, 7 * MIB] {
        let image = Bytes::new(2 * MIB);
        let device = Memory::new(8 * MIB, 512);
        device.sick.lock().unwrap().wraps = Some(real);
        let outcomes = write(way, &image, &[&device], Options::default());
        assert!(matches!(outcomes[..], [Outcome::NotBootable(Failure::Counterfeit { .. })]), "{outcomes:?}");
    }
}

fn errors_that_pass_are_tried_again_and_others_are_told(way: Way) {
    let image = Bytes::new(5 * MIB);
    let device = Memory::new(8 * MIB, 512);
    device.sick.lock().unwrap().fails = Some((2 * MIB, libc::EIO, 2));
    assert!(matches!(write(way, &image, &[&device], Options::default())[..], [Outcome::Complete { .. }]));
    device.sick.lock().unwrap().fails = Some((2 * MIB, libc::ENODEV, u32::MAX));
    let outcomes = write(way, &image, &[&device], Options::default());
    assert_ends_at(&outcomes, 2 * MIB as u64);
    assert_blank_head(&device);
}

fn one_bad_device_harms_no_other(way: Way) {
    let image = Bytes::new(20 * MIB);
    let devices: Vec<_> = (0..4).map(|_| Memory::new(32 * MIB, 512)).collect();
    devices[1].sick.lock().unwrap().fails = Some((6 * MIB, libc::ENODEV, u32::MAX));
    devices[2].sick.lock().unwrap().flips = Some(9 * MIB);
    let outcomes = write(way, &image, &devices.iter().collect::<Vec<_>>(), Options::default());
    assert!(matches!(
        &outcomes[..],
        [
            Outcome::Complete { .. },
            Outcome::NotBootable(Failure::Device { .. }),
            Outcome::NotBootable(Failure::ReadBack { .. }),
            Outcome::Complete { .. },
        ]
    ));
    assert!(devices[3].content()[..image.data.len()] == image.data);
}

/// Whichever write is the last one that arrives, and if it arrives by half: what starts is whole.
fn a_device_that_loses_its_power_starts_only_when_it_is_whole(way: Way) {
    let image = Bytes::new(2 * MIB + 700);
    for sector in [512, 4096] {
        for writes in 1.. {
            let device = Memory::new(5 * MIB, sector);
            device.sick.lock().unwrap().dies_after = Some(writes);
            let outcomes = write(way, &image, &[&device], Options::default());
            let first = &device.content()[..sector as usize];
            if let [Outcome::Complete { .. }] = outcomes[..] {
                assert!(device.content_is(&image.data));
                assert!(writes > 30, "{writes}");
                break;
            }
            let whole = device.content_is(&image.data);
            assert!(whole || first.iter().all(|byte| *byte == 0), "{writes} writes, sectors of {sector}");
        }
    }
}

fn every_phase_is_told_in_its_order(way: Way) {
    let image = Bytes::new(2 * MIB);
    let device = Memory::new(4 * MIB, 512);
    let mut phases = Vec::new();
    let outcomes = write_watched(way, &image, &[&device], Options::default(), &mut |event| {
        phases.push(event.phase);
        true
    });
    assert!(matches!(outcomes[..], [Outcome::Complete { .. }]));
    phases.dedup();
    use Phase::{Check, Complete, Finish, Flush, Verify, Write};
    assert_eq!(phases, [Check, Write, Flush, Verify, Finish, Complete]);
}

/// The fast device is through before the slow one is: it does not wait for it.
fn a_slow_device_gets_a_feed_of_its_own(way: Way) {
    let image = Bytes::new(40 * MIB);
    let (fast, slow) = (Memory::new(48 * MIB, 512), Memory::new(48 * MIB, 512));
    slow.sick.lock().unwrap().delay = Duration::from_millis(120);
    let mut finished_at = None;
    let outcomes = write_watched(way, &image, &[&fast, &slow], Options::default(), &mut |event| {
        if event.device == 1 && fast.content_is(&image.data) {
            finished_at.get_or_insert((event.phase, event.bytes));
        }
        true
    });
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Complete { .. })), "{outcomes:?}");
    assert!(slow.content()[..image.data.len()] == image.data);
    let (phase, bytes) = finished_at.expect("the fast device was not ready first");
    assert!(phase <= Phase::Write && bytes < 36 * MIB as u64, "{phase:?} {bytes}");
}

fn an_update_writes_only_what_differs(way: Way) {
    let mut image = Bytes::new(20 * MIB);
    let device = Memory::new(32 * MIB, 512);
    write(way, &image, &[&device], Options::default());
    image.data[7 * MIB + 3] ^= 1;
    let options = Options { update: true, ..Options::default() };
    device.sick.lock().unwrap().written.store(0, Ordering::Relaxed);
    let outcomes = write(way, &image, &[&device], options);
    let [Outcome::Complete { written, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(*written, MIB as u64);
    // The head is taken away first, its first sector before the rest, and put back last.
    assert_eq!(device.sick.lock().unwrap().written.load(Ordering::Relaxed), 3 * MIB + 512);
    assert!(device.content_is(&image.data));
}

fn stopping_leaves_nothing_that_starts(way: Way) {
    let image = Bytes::new(40 * MIB);
    let device = Memory::new(48 * MIB, 512);
    device.sick.lock().unwrap().delay = Duration::from_millis(50);
    let outcomes =
        write_watched(way, &image, &[&device], Options::default(), &mut |event| event.bytes < 2 << 20);
    assert!(matches!(outcomes[..], [Outcome::NotBootable(Failure::Cancelled)]), "{outcomes:?}");
    assert_blank_head(&device);
}

/// The rest of a short write arrives too, and what keeps on failing is told with the part's place.
fn writes_that_arrive_in_part_are_made_whole(way: Way) {
    let image = Bytes::new(9 * MIB + 700);
    let device = Memory::new(12 * MIB, 512);
    device.sick.lock().unwrap().short = Some((4 * MIB, 3 * 4096));
    let outcomes = write(way, &image, &[&device], Options::default());
    let [Outcome::Complete { written, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(*written, (8 * MIB + 700) as u64);
    assert!(device.content_is(&image.data));
    device.sick.lock().unwrap().fails = Some((4 * MIB + 3 * 4096, libc::ENOSPC, u32::MAX));
    let outcomes = write(way, &image, &[&device], Options::default());
    assert_ends_at(&outcomes, 4 * MIB as u64);
    assert_blank_head(&device);
}

/// An error that may pass is given up after five attempts, whoever made the first one.
fn the_fifth_error_in_a_row_is_the_last(way: Way) {
    let image = Bytes::new(9 * MIB);
    let device = Memory::new(12 * MIB, 512);
    for (times, arrives) in [(4, true), (5, false)] {
        device.sick.lock().unwrap().fails = Some((6 * MIB + 9, libc::EIO, times));
        let outcomes = write(way, &image, &[&device], Options::default());
        assert_eq!(matches!(outcomes[..], [Outcome::Complete { .. }]), arrives, "{outcomes:?}");
        assert_eq!(device.sick.lock().unwrap().fails.map(|(.., left)| left), Some(0));
    }
    assert_blank_head(&device);
}

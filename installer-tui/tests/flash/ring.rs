//! Files in place of sticks, written by the kernel's ring where there is one.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use aegis_hw::{
    Bytes as Size, Error,
    target::{self, Identity, Source, Window, Writes},
};

use super::{Bytes, MIB, Memory, Options, Order, Ordering, Outcome, Target, flash};

/// What became of the parts of an image.
#[derive(Debug, Default)]
struct Seen {
    /// The target gave out a ring.
    ring: AtomicBool,
    /// Parts that were written past it.
    alone: AtomicUsize,
}

/// A file that tells how it is written.
struct Watched {
    file: Box<Target>,
    allowed: bool,
    seen: Arc<Seen>,
}

impl Source for Watched {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn size(&self) -> Size {
        self.file.size()
    }

    fn sector_size(&self) -> u32 {
        self.file.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_at(offset, buffer)
    }
}

impl target::Target for Watched {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        // Neither of the head, nor the last mebibyte, nor a sector of the capacity test.
        if buffer.len() > 512 && (MIB as u64..31 << 20).contains(&offset) {
            self.seen.alone.fetch_add(1, Ordering::Relaxed);
        }
        self.file.write_at(offset, buffer)
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync()
    }

    fn forget_cache(&self) -> Result<(), Error> {
        self.file.forget_cache()
    }

    fn reread_table(&self) -> Result<(), Error> {
        self.file.reread_table()
    }

    fn window(&self, offset: u64, size: Size) -> Result<Window, Error> {
        self.file.window(offset, size)
    }

    fn writes(&self, depth: usize) -> Option<Box<dyn Writes + '_>> {
        let ring = if self.allowed { self.file.writes(depth) } else { None };
        self.seen.ring.store(ring.is_some(), Ordering::Relaxed);
        ring
    }
}

/// Writes an image of 13 parts to a file and tells what was seen.
fn write(path: &Path, allowed: bool, update: bool) -> Arc<Seen> {
    let image = Bytes::new(12 * MIB + 700);
    fs::write(path, vec![Memory::OLD; 32 * MIB]).unwrap();
    let file = target::open_direct(path, &Identity::of_file(Size(32 << 20), 512)).unwrap();
    let seen = Arc::new(Seen::default());
    let targets: Vec<Box<Target>> = vec![Box::new(Watched { file, allowed, seen: seen.clone() })];
    let options = Options { update, ..Options::default() };
    let outcomes = flash::flash(&Order { image: &image, targets: &targets, options }, &mut |_| true);
    assert!(matches!(outcomes[..], [Outcome::Complete { .. }]), "{outcomes:?}");
    assert!(fs::read(path).unwrap().starts_with(&image.data));
    seen
}

#[test]
fn the_ring_writes_every_part_where_there_is_one_and_threads_do_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stick");
    fs::write(&path, [0; 4096]).unwrap();
    let file = target::open_direct(&path, &Identity::of_file(Size(4096), 512)).unwrap();
    let has_ring = file.writes(1).is_some();
    drop(file);
    // What reads before it writes uses threads.
    for (allowed, update) in [(true, false), (false, false), (true, true)] {
        let seen = write(&path, allowed, update);
        let by_ring = has_ring && allowed && !update;
        assert_eq!(seen.ring.load(Ordering::Relaxed), by_ring, "{allowed} {update}");
        assert_eq!(seen.alone.load(Ordering::Relaxed), if by_ring { 0 } else { 12 }, "{allowed} {update}");
    }
}

/// A file system that is full ends one write in its middle and refuses those after it.
#[test]
fn a_full_file_system_is_told_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let image = Bytes::new(20 * MIB);
    fs::write(dir.path().join("image"), &image.data).unwrap();
    let script = "mkdir small && mount -t tmpfs -o size=12m none small && truncate -s 64M small/stick && \
                  \"$1\" --lock lock --state . flash image --to small/stick --serial stick; \
                  code=$?; head -c 1048576 small/stick | tr -d '\\000' | wc -c; exit \"$code\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let output = command.arg(env!("CARGO_BIN_EXE_aegis-installer")).current_dir(dir.path()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    let (_, place) = text.split_once("cannot write the device at byte ").unwrap();
    let place: usize = place.split(':').next().unwrap().parse().unwrap();
    // Of those under way when the space ends any may be the one that gets none.
    assert!(place.is_multiple_of(MIB) && (MIB..16 * MIB).contains(&place), "{text}");
    assert!(text.starts_with("0\n") || text.contains("\n0\n"), "the head is not blank: {text}");
}

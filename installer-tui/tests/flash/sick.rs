//! A device in memory, with the illnesses of sticks.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use aegis_hw::{
    Bytes, Error,
    target::{Buffer, Source, Target, Window, Writes, Written},
};

pub(crate) const MIB: usize = 1 << 20;

/// What is wrong with a device.
#[derive(Debug, Default)]
pub(crate) struct Sickness {
    /// The byte that reads back differently.
    pub(crate) flips: Option<usize>,
    /// The byte that keeps what it had, whatever is written.
    pub(crate) sticks: Option<usize>,
    /// There is only so much memory; what is written beyond it ends at its start.
    pub(crate) wraps: Option<usize>,
    /// Writes at this place fail with this error, so many times.
    pub(crate) fails: Option<(usize, i32, u32)>,
    /// After so many writes the device is gone; the last one arrives by half.
    pub(crate) dies_after: Option<usize>,
    /// Time that a write takes.
    pub(crate) delay: Duration,
    /// Of a write that its ring makes at this place only so many bytes arrive.
    pub(crate) short: Option<(usize, usize)>,
    /// It is used through a cache, so that buffers may lie anywhere.
    pub(crate) buffered: bool,
    /// Bytes that were written.
    pub(crate) written: AtomicUsize,
}

/// A device in memory; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    data: Arc<Mutex<Vec<u8>>>,
    size: usize,
    sector: u32,
    pub(crate) sick: Arc<Mutex<Sickness>>,
}

impl Memory {
    /// What a new device is full of.
    pub(crate) const OLD: u8 = 0x5a;

    pub(crate) fn new(size: usize, sector: u32) -> Self {
        let data = Arc::new(Mutex::new(vec![Self::OLD; size]));
        Self { data, size, sector, sick: Arc::default() }
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.data.lock().unwrap().clone()
    }

    /// Whether it begins with an image.
    pub(crate) fn content_is(&self, image: &[u8]) -> bool {
        self.data.lock().unwrap()[..image.len()] == *image
    }

    /// The real places of a range; direct I/O is aligned.
    fn place(&self, offset: u64, buffer: &[u8]) -> Result<usize, Error> {
        let sector = self.sector as usize;
        let offset = usize::try_from(offset).unwrap();
        assert_eq!((offset % sector, buffer.len() % sector), (0, 0), "direct I/O is aligned");
        let buffered = self.sick.lock().unwrap().buffered;
        assert!(buffered || buffer.as_ptr().align_offset(sector) == 0, "direct I/O is aligned");
        if offset + buffer.len() > self.size {
            return Err(self.error("write", libc::ENOSPC));
        }
        Ok(self.sick.lock().unwrap().wraps.map_or(offset, |real| offset % real))
    }

    fn error(&self, operation: &'static str, code: i32) -> Error {
        Error::Io { operation, path: self.path().into(), source: io::Error::from_raw_os_error(code) }
    }
}

impl Source for Memory {
    fn path(&self) -> &Path {
        Path::new("/dev/memory")
    }

    fn size(&self) -> Bytes {
        Bytes(self.size as u64)
    }

    fn sector_size(&self) -> u32 {
        self.sector
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let place = self.place(offset, buffer)?;
        let end = place + buffer.len();
        buffer.copy_from_slice(&self.data.lock().unwrap()[place..end]);
        if let Some(at) = self.sick.lock().unwrap().flips.filter(|at| (place..end).contains(at)) {
            buffer[at - place] ^= u8::from(buffer[at - place] != 0);
        }
        Ok(())
    }
}

impl Target for Memory {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        let place = self.place(offset, buffer)?;
        let mut kept = 0..buffer.len();
        let delay = {
            let mut sick = self.sick.lock().unwrap();
            if let Some(left) = &mut sick.dies_after {
                if *left == 0 {
                    return Err(self.error("write", libc::ENODEV));
                }
                *left -= 1;
                if *left == 0 && buffer.len() > self.sector as usize {
                    kept.end /= 2;
                }
            }
            if let Some((at, code, times)) = &mut sick.fails
                && (place..place + buffer.len()).contains(at)
                && *times > 0
                && buffer.len() == MIB
            {
                *times -= 1;
                return Err(self.error("write", *code));
            }
            sick.written.fetch_add(buffer.len(), Ordering::Relaxed);
            sick.delay
        };
        thread::sleep(delay);
        let sticks = self.sick.lock().unwrap().sticks.filter(|at| (place..place + buffer.len()).contains(at));
        let mut data = self.data.lock().unwrap();
        let stuck = sticks.map(|at| (at, data[at]));
        data[place..place + kept.len()].copy_from_slice(&buffer[kept]);
        stuck.into_iter().for_each(|(at, byte)| data[at] = byte);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn forget_cache(&self) -> Result<(), Error> {
        Ok(())
    }

    fn reread_table(&self) -> Result<(), Error> {
        Ok(())
    }

    fn window(&self, _offset: u64, _size: Bytes) -> Result<Window, Error> {
        Err(self.error("make a window of", libc::ENOTSUP))
    }
}

/// A device in memory with a ring of its own: several writes are under way from one thread, and end in any order.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not every test that has sick devices writes images to them")]
pub(crate) struct WithRing(pub(crate) Memory);

impl Source for WithRing {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn size(&self) -> Bytes {
        self.0.size()
    }

    fn sector_size(&self) -> u32 {
        self.0.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.0.read_at(offset, buffer)
    }
}

impl Target for WithRing {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        self.0.write_at(offset, buffer)
    }

    fn sync(&self) -> Result<(), Error> {
        self.0.sync()
    }

    fn forget_cache(&self) -> Result<(), Error> {
        self.0.forget_cache()
    }

    fn reread_table(&self) -> Result<(), Error> {
        self.0.reread_table()
    }

    fn window(&self, offset: u64, size: Bytes) -> Result<Window, Error> {
        self.0.window(offset, size)
    }

    fn writes(&self, depth: usize) -> Option<Box<dyn Writes + '_>> {
        let (ended, awaited) = mpsc::channel();
        Some(Box::new(Ring { device: self.0.clone(), depth, under_way: 0, ended, awaited }))
    }
}

struct Ring {
    device: Memory,
    depth: usize,
    under_way: usize,
    ended: Sender<Written>,
    awaited: Receiver<Written>,
}

impl Writes for Ring {
    fn begin(&mut self, offset: u64, buffer: Buffer, length: usize) -> Result<(), Error> {
        assert!(self.under_way < self.depth, "too many writes are under way");
        self.under_way += 1;
        let (device, ended) = (self.device.clone(), self.ended.clone());
        let short = device.sick.lock().unwrap().short.filter(|(at, _)| *at as u64 == offset);
        let length = short.map_or(length, |(_, length)| length);
        thread::spawn(move || {
            let result = device.write_at(offset, &(*buffer).as_ref()[..length]).map(|()| length);
            drop(buffer);
            // Nobody waits any more after a failed assertion.
            let _ = ended.send(Written { offset, result });
        });
        Ok(())
    }

    fn ended(&mut self, wait: bool) -> Result<Option<Written>, Error> {
        assert!(self.under_way > 0, "nothing is under way");
        let ended = if wait { self.awaited.recv().ok() } else { self.awaited.try_recv().ok() };
        self.under_way -= usize::from(ended.is_some());
        Ok(ended)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        assert!(self.under_way == 0 || thread::panicking(), "writes are still under way");
    }
}

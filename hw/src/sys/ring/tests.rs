//! Files that take everything, files that do not, and kernels that refuse a ring.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::Arc,
    time::Instant,
};

use super::*;
use crate::{
    Bytes,
    target::{self, Identity},
};

const MIB: usize = 1 << 20;

fn memory(byte: u8, length: usize) -> Arc<Vec<u8>> {
    Arc::new(vec![byte; length])
}

/// A file of zeros without a name.
fn file(length: usize) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(length as u64).unwrap();
    file
}

/// Whether the kernel makes a ring for this thread.
fn is_offered() -> bool {
    // The size of `struct io_uring_params`.
    let mut parameters = [0u8; 120];
    // SAFETY: the kernel reads and writes one `struct io_uring_params`.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
    let ring = RawFd::try_from(ring).unwrap();
    if ring >= 0 {
        // SAFETY: it was opened just now, and nobody else has it.
        drop(unsafe { OwnedFd::from_raw_fd(ring) });
    }
    ring >= 0
}

/// Has the kernel answer a system call of this thread with an error.
fn refuse(call: libc::c_long, error: i32) {
    let step = |code: u32, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf, k };
    let call = u32::try_from(call).unwrap();
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | u32::try_from(error).unwrap()),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) }, 0);
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the kernel copies the filter, which has as many steps as it says.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter, unused, unused) }, 0);
}

#[test]
fn a_file_has_a_ring_where_the_kernel_makes_one() {
    assert_eq!(Ring::new(&file(0), 4).is_ok(), is_offered());
}

#[test]
fn a_kernel_that_refuses_leaves_the_target_without_a_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::write(&path, [0; 4096]).unwrap();
    let has_ring = |path: &Path| {
        let identity = Identity::of_file(Bytes(4096), 512);
        target::open_direct(path, &identity).unwrap().writes(4).is_some()
    };
    assert_eq!(has_ring(&path), is_offered());
    // Kernels without it, filters, limits of locked memory, and kernels that cannot be asked what they know.
    let setup = [libc::ENOSYS, libc::EPERM, libc::ENOMEM].map(|error| (libc::SYS_io_uring_setup, error));
    for (call, error) in setup.into_iter().chain([(libc::SYS_io_uring_register, libc::EINVAL)]) {
        let in_vain = || {
            refuse(call, error);
            has_ring(&path)
        };
        assert!(!thread::scope(|scope| scope.spawn(in_vain).join().unwrap()), "{call} {error}");
    }
}

#[test]
fn several_writes_are_under_way_and_all_arrive() {
    let file = file(8 * MIB);
    let mut ring = Ring::new(&file, 4).unwrap();
    let buffers: Vec<_> = (1..=7).map(|byte| memory(byte, MIB)).collect();
    let (mut begun, mut ended) = (0, Vec::new());
    while ended.len() < buffers.len() {
        while let Some(buffer) = buffers.get(begun)
            && begun - ended.len() < 4
        {
            ring.begin((begun * MIB) as u64, buffer.clone(), MIB - begun).unwrap();
            begun += 1;
        }
        if begun - ended.len() == 4 {
            let one_more = ring.begin(0, memory(9, 1), 1);
            assert_eq!(one_more.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        let (offset, result) = ring.ended(true).unwrap().unwrap();
        ended.push((offset, result.unwrap()));
    }
    assert!(ring.ended(true).unwrap().is_none(), "nothing is under way");
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3, 4, 5, 6].map(|i| ((i * MIB) as u64, MIB - i)));
    assert!(buffers.iter().all(|buffer| Arc::strong_count(buffer) == 1));
    let mut found = vec![0; 8 * MIB];
    file.read_exact_at(&mut found, 0).unwrap();
    for (i, buffer) in buffers.iter().enumerate() {
        assert!(found[i * MIB..][..MIB - i] == buffer[..MIB - i], "{i}");
        assert!(found[i * MIB + MIB - i..][..i].iter().all(|byte| *byte == 0), "{i}");
    }
    assert!(ring.begin(0, memory(1, 5), 6).is_err(), "a buffer of fewer bytes");
}

/// A file that cannot grow ends the second write in its middle, and refuses the third one.
#[test]
fn short_and_failing_writes_are_told_with_their_places() {
    // SAFETY: the name is a string.
    let file = unsafe { libc::memfd_create(c"disk".as_ptr(), libc::MFD_ALLOW_SEALING) };
    // SAFETY: it was opened just now, and nobody else has it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(file) });
    file.set_len((MIB + 8192) as u64).unwrap();
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_GROW) }, 0);
    let mut ring = Ring::new(&file, 3).unwrap();
    let buffer = memory(5, MIB);
    for offset in [0, MIB, 4 * MIB] {
        ring.begin(offset as u64, buffer.clone(), MIB).unwrap();
    }
    let mut ended: Vec<_> = (0..3).map(|_| ring.ended(true).unwrap().unwrap()).collect();
    ended.sort_by_key(|(offset, _)| *offset);
    let told = |(offset, result): (u64, io::Result<usize>)| (offset, result.map_err(|e| e.raw_os_error()));
    let ended: Vec<_> = ended.into_iter().map(told).collect();
    let refused = (4 * MIB as u64, Err(Some(libc::EPERM)));
    assert_eq!(ended, [(0, Ok(MIB)), (MIB as u64, Ok(8192)), refused]);
    assert_eq!(Arc::strong_count(&buffer), 1);
}

/// The kernel reads the memory until somebody reads the pipe.
#[test]
fn dropping_waits_for_what_is_under_way() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    // SAFETY: no pointers.
    let capacity = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) };
    let full = vec![1; usize::try_from(capacity).unwrap()];
    writer.write_all(&full).unwrap();
    let file = File::from(OwnedFd::from(writer));
    let buffer = memory(2, 4096);
    let begun = Instant::now();
    let pause = Duration::from_millis(300);
    thread::scope(|scope| {
        let held = buffer.clone();
        scope.spawn(|| {
            let mut ring = Ring::new(&file, 2).unwrap();
            ring.begin(0, held, 4096).unwrap();
            drop(ring);
            assert!(begun.elapsed() >= pause, "it did not wait");
            assert_eq!(Arc::strong_count(&buffer), 1);
        });
        thread::sleep(pause);
        assert_eq!(Arc::strong_count(&buffer), 2);
        let mut found = vec![0; full.len() + 4096];
        reader.read_exact(&mut found).unwrap();
        assert!(found[..full.len()] == full && found[full.len()..] == buffer[..]);
    });
}

//! What the machine outside sees: a buffer in memory and one call.
#![expect(unsafe_code, reason = "an exported function needs a name that is unique in the whole program")]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Bytes of the buffer: a key ring, a license, what comes back.
const CAPACITY: usize = 64 * 1024;

/// Atomic, so that both sides can write it without unsafe code here.
static BUFFER: [AtomicU8; CAPACITY] = [const { AtomicU8::new(0) }; CAPACITY];

/// Where the buffer is.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn buffer() -> *const AtomicU8 {
    BUFFER.as_ptr()
}

/// How long it is.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn capacity() -> usize {
    CAPACITY
}

/// Verifies the license that follows the key ring in the buffer; both lengths are given. What comes back is at the front
/// of the buffer, and its length is the value; 0 when the lengths do not fit.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn verify(keys: usize, text: usize) -> usize {
    let Some(given) = keys.checked_add(text).and_then(|end| BUFFER.get(..end)) else {
        return 0;
    };
    let bytes: Vec<u8> = given.iter().map(|byte| byte.load(Relaxed)).collect();
    let (keys, text) = bytes.split_at(keys);
    let answer = super::judged(keys, text);
    let Some(room) = BUFFER.get(..answer.len()) else {
        return 0;
    };
    room.iter().zip(answer.bytes()).for_each(|(place, byte)| place.store(byte, Relaxed));
    answer.len()
}

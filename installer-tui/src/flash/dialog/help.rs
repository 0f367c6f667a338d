//! What F1, or a question mark, explains of each screen.

use super::screen::Place;

/// Explains a screen.
pub const fn text(place: Place) -> &'static str {
    match place {
        Place::Image => {
            "The image is raw, or packed as .gz, .xz, .bz2, .zst or .lz4. Images in this directory are listed; any other is named by its \
             path. A file such as SHA256SUMS beside it says what it must be, and is used."
        }
        Place::Devices => {
            "Everything on the chosen devices will be erased. Space chooses the device at the cursor, or takes the choice back. Nothing is \
             chosen by itself. Devices that cannot be written are listed with the reason. The list follows what is plugged in and out; a \
             device that changes is no longer chosen."
        }
        Place::Review => {
            "This is the exact plan. Nothing has been written so far. After the next questions the devices are erased; a device looks \
             like a medium only when everything was written and read back."
        }
        Place::Confirm => {
            "A blank stick takes a yes. One with something on it takes a yes below the list of that. The serial number is asked for \
             where much could be lost: a disk of this machine, a large one, a system, encryption, RAID, LVM, or a number that two \
             devices share."
        }
        Place::Work => {
            "Each device is written at its own speed and read back past all caches. Its first mebibyte comes last: a device that is stopped or \
             fails does not start. A complete device can be unplugged while the others go on."
        }
        Place::Done => {
            "Only a device that is called complete holds the whole image and was read back. The exit code says the same: 0 when all are \
             complete."
        }
    }
}

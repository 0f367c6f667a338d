//! What F1 shows on each screen.

use super::screen::Place;

/// Keys that mean the same on every screen.
pub const KEYS: &str = "Enter accepts, Esc goes back, Tab and the arrow keys move, F1 or ? shows this help, Ctrl-U empties a field, Ctrl-L paints \
    the screen again, Ctrl-C asks whether to leave.";

/// Explains a screen.
pub const fn text(place: Place) -> &'static str {
    match place {
        Place::Language => {
            "The language of messages, and the formats of dates and numbers. The list has the languages that are on this medium. \
             Type some letters to narrow the list."
        }
        Place::Keyboard => {
            "The layout of the keys. Type some letters to narrow the list, for example the name of the language or the code of \
             the layout. The next screens use the keyboard already where the terminal allows it."
        }
        Place::Zone => {
            "The clock of the installed system. Type some letters to narrow the list, for example the name of a city."
        }
        Place::Edition => {
            "A license key opens the features of a paid edition. A mistyped one is noticed here; whether it was sold is found \
             out after the installation. The system works without one, and a license can be installed later."
        }
        Place::Disk => {
            "The whole disk is erased, with every partition on it. Disks that cannot be used are listed with the reason. A disk that is \
             connected now is shown at once; F5 reads the list again. Nothing is erased before the serial number was typed at the end."
        }
        Place::User => {
            "The first user can do everything that an administrator can, by sudo. There is no password for root. \
             The password is stored as a hash only."
        }
        Place::Host => "One word. It is shown at the prompt and in the lists of devices of many routers.",
        Place::Network => {
            "With DHCP every wired interface gets its addresses from the network, which is right almost everywhere. Static \
             addresses are for servers in networks without DHCP. Wireless networks are chosen in the installed system."
        }
        Place::Summary => {
            "This is the exact plan. Nothing has been written so far. After the next screen the disk is erased; the disk \
             becomes bootable only when everything was written and read back."
        }
        Place::Work => {
            "The partition table is written last. If the installation is stopped or fails, the disk does not look installed, but \
             its former content is gone."
        }
        Place::Done => {
            "Remove the medium before the machine restarts, or choose the disk in the firmware's menu."
        }
    }
}

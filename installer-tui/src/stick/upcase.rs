//! The up-case table that the exFAT specification recommends (section 7.2.5.1): which letters are the same in names.
//!
//! Systems compare names by the table of the volume; Windows and Linux make volumes with this one.

/// Letters and their capitals in hexadecimal: `first-last=capital of the first`, with `/2` for every second letter.
const LETTERS: &str = "\
    61-7a=41 e0-f6=c0 f8-fe=d8 ff=178 101-12f/2=100 133-137/2=132 13a-148/2=139 14b-177/2=14a \
    17a-17e/2=179 180=243 183-185/2=182 188=187 18c=18b 192=191 195=1f6 199=198 19a=23d 19e=220 \
    1a1-1a5/2=1a0 1a8=1a7 1ad=1ac 1b0=1af 1b4-1b6/2=1b3 1b9=1b8 1bd=1bc 1bf=1f7 1c6=1c4 1c9=1c7 1cc=1ca \
    1ce-1dc/2=1cd 1dd=18e 1df-1ef/2=1de 1f3=1f1 1f5=1f4 1f9-21f/2=1f8 223-233/2=222 23a=2c65 23c=23b \
    23e=2c66 242=241 247-24f/2=246 253=181 254=186 256-257=189 259=18f 25b=190 260=193 263=194 268=197 \
    269=196 26b=2c62 26f=19c 272=19d 275=19f 27d=2c64 280=1a6 283=1a9 288=1ae 289=244 28a-28b=1b1 28c=245 \
    292=1b7 37b-37d=3fd 3ac=386 3ad-3af=388 3b1-3c1=391 3c2=3a3 3c3-3cb=3a3 3cc=38c 3cd-3ce=38e \
    3d9-3ef/2=3d8 3f2=3f9 3f8=3f7 3fb=3fa 430-44f=410 450-45f=400 461-481/2=460 48b-4bf/2=48a \
    4c2-4ce/2=4c1 4cf=4c0 4d1-513/2=4d0 561-586=531 1d7d=2c63 1e01-1e95/2=1e00 1ea1-1ef9/2=1ea0 \
    1f00-1f07=1f08 1f10-1f15=1f18 1f20-1f27=1f28 1f30-1f37=1f38 1f40-1f45=1f48 1f51-1f57/2=1f59 \
    1f60-1f67=1f68 1f70-1f71=1fba 1f72-1f75=1fc8 1f76-1f77=1fda 1f78-1f79=1ff8 1f7a-1f7b=1fea \
    1f7c-1f7d=1ffa 1f80-1f87=1f88 1f90-1f97=1f98 1fa0-1fa7=1fa8 1fb0-1fb1=1fb8 1fb3=1fbc 1fcc=1fc3 \
    1fd0-1fd1=1fd8 1fe0-1fe1=1fe8 1fe5=1fec 1ffc=1ff3 214e=2132 2170-217f=2160 2184=2183 24d0-24e9=24b6 \
    2c30-2c5e=2c00 2c61=2c60 2c68-2c6c/2=2c67 2c76=2c75 2c81-2ce3/2=2c80 2d00-2d25=10a0 ff41-ff5a=ff21";

/// Characters of a run without capitals, from which on the run is stored as its length.
const LONG: usize = 512;

/// The capital of every character of the basic plane.
fn capitals() -> Vec<u16> {
    let mut table: Vec<u16> = (0..=u16::MAX).collect();
    let number = |text: &str| u16::from_str_radix(text, 16).unwrap_or_default();
    for entry in LETTERS.split_ascii_whitespace() {
        let (letters, capital) = entry.split_once('=').unwrap_or_default();
        let (letters, step) = letters.strip_suffix("/2").map_or((letters, 1), |letters| (letters, 2));
        let (first, last) = letters.split_once('-').unwrap_or((letters, letters));
        let first = number(first);
        for letter in (first..=number(last)).step_by(step) {
            table[usize::from(letter)] = number(capital) + (letter - first);
        }
    }
    table
}

/// The table as it is stored: section 7.2.5, with long runs of characters that are their own capitals as 0xffff and a length.
pub(super) fn table() -> Vec<u8> {
    let capitals = capitals();
    let own = |at: &usize| usize::from(capitals[*at]) == *at;
    let (mut stored, mut at) = (Vec::new(), 0);
    while at < capitals.len() {
        let run = (at..capitals.len()).take_while(own).count();
        match u16::try_from(run) {
            Ok(length) if run >= LONG => stored.extend([0xffff, length]),
            _ => stored.extend(&capitals[at..at + run.max(1)]),
        }
        at += run.max(1);
    }
    stored.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// The checksum of section 7.2.5.1, and of 3.4 without the bytes that it leaves out.
pub(super) fn checksum(sum: u32, byte: u8) -> u32 {
    sum.rotate_right(1).wrapping_add(byte.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length and checksum are those that the specification prints.
    #[test]
    fn it_is_the_recommended_table() {
        let table = table();
        assert_eq!(
            (table.len(), table.iter().fold(0, |sum, byte| checksum(sum, *byte))),
            (5836, 0xe619_d30d)
        );
        let capitals = capitals();
        for (letter, capital) in
            [('a', 'A'), ('z', 'Z'), ('ÿ', 'Ÿ'), ('ж', 'Ж'), ('ǆ', 'Ǆ'), ('1', '1'), ('ß', 'ß')]
        {
            assert_eq!(capitals[letter as usize], capital as u16, "{letter}");
        }
    }
}

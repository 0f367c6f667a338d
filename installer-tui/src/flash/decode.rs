//! Decoders that read archives to their very end.
//!
//! Invariant: the end of the output is the end of the input. Archives of several members are read whole; a truncated
//! member, and anything after the last one, is an error. Most libraries stop after the first member without a word.

use std::io::{self, BufRead, Read};

use super::format::Format;

/// Memory of the threads that decode one xz file, so that all of a run for one device stays below 64 MiB. A thread needs
/// room for its block, compressed and not, as the block's header says: of blocks of 4 MiB two fit, of 16 MiB one. Where not
/// even one fits, blocks are decoded as they come, without such room.
const XZ_THREADING: u64 = 32 << 20;
/// More than any preset of xz needs, so that a hostile file cannot ask for all memory.
const XZ_LIMIT: u64 = 256 << 20;
/// Largest window of zstd: 128 MiB, what its own tool accepts without being told.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Reads what an image holds. `threads` are used where a format has parts that can be decoded side by side.
///
/// # Errors
/// When the decoder cannot be made. Reading gives [`io::ErrorKind::InvalidData`] and
/// [`io::ErrorKind::UnexpectedEof`] for damaged archives.
pub fn decoder(
    format: Format,
    input: impl BufRead + Send + 'static,
    threads: u32,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match format {
        Format::Raw => Box::new(input),
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Format::Gzip => Members::boxed(input, |r| Ok(flate2::bufread::GzDecoder::new(r))),
        Format::Bzip2 => Members::boxed(input, |r| Ok(bzip2::bufread::BzDecoder::new(r))),
        Format::Lz4 => Members::boxed(input, |r| {
            Ok(lz4_flex::frame::FrameDecoder::new(Watch { input: r, ended: false }))
        }),
        Format::Xz => Members::boxed(input, move |r| {
            let mut builder = liblzma::stream::MtStreamBuilder::new();
            builder.threads(threads).memlimit_threading(XZ_THREADING).memlimit_stop(XZ_LIMIT);
            Ok(liblzma::bufread::XzDecoder::new_stream(r, builder.decoder().map_err(io::Error::from)?))
        }),
    })
}

/// A decoder of one member.
trait Member: Read {
    /// What comes after the member.
    type Input: BufRead;

    /// Bytes after a member must be zeros in groups of this size to count as padding; 0 when the format has none.
    const PADDING: usize;

    /// Gives the input back after the member's end; an error when the member was not complete.
    fn end(self) -> io::Result<Self::Input>;
}

impl<R: BufRead> Member for flate2::bufread::GzDecoder<R> {
    type Input = R;
    // Tapes and block devices pad with zeros; gzip itself accepts them.
    const PADDING: usize = 1;

    fn end(self) -> io::Result<R> {
        Ok(self.into_inner())
    }
}

impl<R: BufRead> Member for bzip2::bufread::BzDecoder<R> {
    type Input = R;
    const PADDING: usize = 0;

    fn end(self) -> io::Result<R> {
        Ok(self.into_inner())
    }
}

impl<R: BufRead> Member for liblzma::bufread::XzDecoder<R> {
    type Input = R;
    // Stream padding: section 2.2 of the format.
    const PADDING: usize = 4;

    fn end(self) -> io::Result<R> {
        Ok(self.into_inner())
    }
}

impl<R: BufRead> Member for lz4_flex::frame::FrameDecoder<Watch<R>> {
    type Input = R;
    const PADDING: usize = 0;

    fn end(self) -> io::Result<R> {
        let watch = self.into_inner();
        // The library takes the end of the file within a frame for the end of the frame.
        if watch.ended { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(watch.input) }
    }
}

/// Remembers that a reader wanted more than there was.
struct Watch<R> {
    input: R,
    ended: bool,
}

impl<R: Read> Read for Watch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.ended |= n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

/// Members one after the other.
struct Members<D, F> {
    current: Option<D>,
    make: F,
    /// What follows a member did not give a byte yet: an error then is one of the data between members.
    fresh: bool,
}

impl<D, F> Members<D, F>
where
    D: Member + Send + 'static,
    F: FnMut(D::Input) -> io::Result<D> + Send + 'static,
{
    fn boxed(input: D::Input, make: F) -> Box<dyn Read + Send>
    where
        D::Input: Send + 'static,
    {
        Box::new(First { input: Some(input), members: Self { current: None, make, fresh: false } })
    }

    /// Begins the next member, if there is one.
    fn next(&mut self, mut input: D::Input) -> io::Result<()> {
        let zeros = skip_zeros(&mut input)?;
        let garbage = zeros > 0 && (D::PADDING == 0 || zeros % D::PADDING as u64 != 0);
        if garbage {
            return Err(trailing());
        }
        if !input.fill_buf()?.is_empty() {
            self.current = Some((self.make)(input)?);
            self.fresh = true;
        }
        Ok(())
    }
}

fn trailing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "there is data after the end of the archive")
}

fn skip_zeros(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        let all = zeros == buffer.len();
        input.consume(zeros);
        skipped += zeros as u64;
        if zeros == 0 || !all {
            return Ok(skipped);
        }
    }
}

impl<D, F> Read for Members<D, F>
where
    D: Member + Send + 'static,
    F: FnMut(D::Input) -> io::Result<D> + Send + 'static,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.current {
            let n = member.read(buffer).map_err(|error| match self.fresh {
                true if error.kind() != io::ErrorKind::Interrupted => trailing(),
                _ => error,
            })?;
            self.fresh = false;
            if n > 0 {
                return Ok(n);
            }
            if let Some(member) = self.current.take() {
                let input = member.end()?;
                self.next(input)?;
            }
        }
        Ok(0)
    }
}

/// Makes the first member when it is asked for, because making one can fail.
struct First<D: Member, F> {
    input: Option<D::Input>,
    members: Members<D, F>,
}

impl<D, F> Read for First<D, F>
where
    D: Member + Send + 'static,
    F: FnMut(D::Input) -> io::Result<D> + Send + 'static,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(input) = self.input.take() {
            self.members.current = Some((self.members.make)(input)?);
        }
        self.members.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufReader, Cursor, Write},
        process::{Command, Stdio},
    };

    use super::*;

    const ALL: [(Format, &str); 5] = [
        (Format::Gzip, "gzip"),
        (Format::Xz, "xz"),
        (Format::Bzip2, "bzip2"),
        (Format::Zstd, "zstd"),
        (Format::Lz4, "lz4"),
    ];

    /// Data that does not compress to nothing.
    fn sample(length: usize, mut state: u32) -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x1f
        };
        (0..length).map(|_| next()).collect()
    }

    /// Compresses by the format's own tool.
    fn compress(tool: &str, data: &[u8]) -> Vec<u8> {
        let mut child = Command::new(tool)
            .args(["-c", "-1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{tool}: {error}"));
        let mut input = child.stdin.take().unwrap();
        let data = data.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&data).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{tool}");
        output.stdout
    }

    fn decode(format: Format, archive: &[u8], buffer: usize) -> io::Result<Vec<u8>> {
        let input = BufReader::with_capacity(buffer, Cursor::new(archive.to_vec()));
        let mut out = Vec::new();
        decoder(format, input, 2)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn several_members_are_read_to_the_end() {
        let (first, second) = (sample(300_000, 1), sample(200_001, 2));
        for (format, tool) in ALL {
            let mut archive = compress(tool, &first);
            assert_eq!(Format::detect(&archive), Ok(format));
            archive.extend(compress(tool, &second));
            let whole = [first.clone(), second.clone()].concat();
            // A buffer of one byte: members begin and end anywhere in it.
            for buffer in [1, 4096] {
                assert_eq!(decode(format, &archive, buffer).unwrap(), whole, "{tool}");
            }
        }
    }

    #[test]
    fn garbage_after_the_end_is_an_error() {
        let data = sample(50_000, 3);
        for (format, tool) in ALL {
            let archive = compress(tool, &data);
            for tail in [&b"garbage at the end"[..], b"x", b"\0\0\0\0\0x", &archive[..9]] {
                let error = decode(format, &[&archive[..], tail].concat(), 4096).unwrap_err();
                assert!(!error.to_string().is_empty(), "{tool}");
            }
        }
    }

    #[test]
    fn padding_counts_where_the_format_knows_it() {
        let data = sample(50_000, 4);
        for (format, tool) in ALL {
            let archive = compress(tool, &data);
            for (zeros, fine) in
                [(4, [Format::Gzip, Format::Xz].contains(&format)), (3, format == Format::Gzip)]
            {
                let padded = [&archive[..], &vec![0; zeros]].concat();
                assert_eq!(decode(format, &padded, 4096).is_ok(), fine, "{tool} with {zeros} zeros");
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let data = sample(3_000, 5);
        for (format, tool) in ALL {
            let archive = compress(tool, &data);
            for length in 0..archive.len() {
                assert!(decode(format, &archive[..length], 64).is_err(), "{tool} at {length}");
            }
        }
    }

    #[test]
    fn changed_bytes_never_pass_as_the_same_length_of_other_data() {
        let data = sample(3_000, 6);
        for (format, tool) in ALL {
            let mut archive = compress(tool, &data);
            for at in (0..archive.len()).step_by(3) {
                archive[at] ^= 0x10;
                // Some bytes, such as a time stamp, mean nothing for the content.
                if let Ok(found) = decode(format, &archive, 512) {
                    assert_eq!(found, data, "{tool} at {at}");
                }
                archive[at] ^= 0x10;
            }
        }
    }
}

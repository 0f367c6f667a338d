//! Image files: what they are, and what they must be.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use aegis_core::hex::{Digest, Hex};
use ring::digest;
use serde::Serialize;

use super::{
    decode,
    engine::Image,
    format::{self, Format},
    map::Map,
    sums::{self, Algorithm, Found},
};
use crate::error::Error;

/// Bytes that are read from a file at once.
const BLOCK: usize = 1 << 20;
/// Names of files of digests that are looked for beside an image, the strongest first.
const BESIDE: [&str; 6] =
    ["SHA512SUMS", "SHA256SUMS", "sha512sum.txt", "sha256sum.txt", "sha512sums.txt", "sha256sums.txt"];

/// A digest that a file must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// SHA-256 or SHA-512, in lower-case hexadecimal.
    pub digest: String,
    /// What says so, such as the path of a file of sums.
    pub by: String,
    /// It is the digest of what the archive holds, not of the archive.
    pub of_content: bool,
}

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it is stored.
    pub format: Format,
    /// Bytes of the file.
    pub size: u64,
    /// What it must be; `None` when nothing says so.
    pub expected: Option<Expected>,
    /// Bytes in place of the file's first ones; see [`crate::medium`].
    #[serde(skip)]
    pub head: Vec<u8>,
    /// What is read in place of the file.
    #[serde(skip)]
    pub stream: Option<Stream>,
    /// What is known of its parts; see [`super::ranges::find`].
    pub map: Option<Map>,
}

/// An image that is no file: it is read from its start, and as often as it is asked for.
#[derive(Clone)]
pub struct Stream(pub Arc<Opener>);

/// Begins to read.
pub type Opener = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stream {}

/// What says which digest an image must have.
#[derive(Clone, Debug, Default)]
pub enum Authority {
    /// A file of digests beside the image, if there is one.
    #[default]
    Beside,
    /// A digest that was typed.
    Typed(Digest),
    /// This file of digests; it must name the image.
    Sums(PathBuf),
}

impl ImageFile {
    /// Looks at a file and finds out what it must be.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file, is in a format that is not read, or what should name it does not.
    pub fn look(path: &Path, authority: &Authority) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let data = file.metadata().map_err(Error::io("look at", path))?;
        if !data.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            return Err(Error::io("use as an image", path)(source));
        }
        let mut start = Vec::new();
        (&mut file).take(format::NEEDED as u64).read_to_end(&mut start).map_err(Error::io("read", path))?;
        if start.is_empty() {
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty");
            return Err(Error::io("use as an image", path)(source));
        }
        let format =
            Format::detect(&start).map_err(|format| Error::ImageFormat { path: path.into(), format })?;
        let expected = expected(path, format, authority)?;
        Ok(Self {
            path: path.into(),
            format,
            size: data.len(),
            expected,
            map: None,
            head: Vec::new(),
            stream: None,
        })
    }

    /// The digest that the decoded image must have, where that is what is known.
    pub fn content_digest(&self) -> Option<(Digest, String)> {
        let expected = self.expected.as_ref().filter(|expected| expected.of_content)?;
        Some((Hex::parse(&expected.digest)?, expected.by.clone()))
    }
}

fn expected(path: &Path, format: Format, authority: &Authority) -> Result<Option<Expected>, Error> {
    match authority {
        Authority::Typed(digest) => Ok(Some(Expected {
            digest: digest.to_string(),
            by: "the command line".into(),
            of_content: false,
        })),
        Authority::Sums(file) => match named_in(file, path, format)? {
            Some(expected) => Ok(Some(expected)),
            None => Err(Error::Sums { path: file.clone(), problem: "does not name the image" }),
        },
        Authority::Beside => {
            let directory = path.parent().unwrap_or(Path::new(""));
            let own = ["sha512", "sha256"].map(|kind| {
                let mut name = path.as_os_str().to_owned();
                name.push(format!(".{kind}"));
                PathBuf::from(name)
            });
            for file in own.into_iter().chain(BESIDE.map(|name| directory.join(name))) {
                if file.is_file()
                    && let Some(expected) = named_in(&file, path, format)?
                {
                    return Ok(Some(expected));
                }
            }
            Ok(None)
        }
    }
}

/// What a file of digests says about an image, or about what the archive holds.
fn named_in(file: &Path, image: &Path, format: Format) -> Result<Option<Expected>, Error> {
    let mut text = Vec::new();
    let open = File::open(file).map_err(Error::io("open", file))?;
    open.take(sums::LIMIT as u64).read_to_end(&mut text).map_err(Error::io("read", file))?;
    let all = sums::parse(&text);
    let name = image.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = image.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut names = vec![(name, false)];
    if format != Format::Raw {
        names.push((stem, true));
    }
    for (name, of_content) in names {
        match sums::find(&all, &name) {
            Found::Missing => {}
            Found::Contradiction => {
                return Err(Error::Sums {
                    path: file.into(),
                    problem: "names the image twice, with different digests",
                });
            }
            Found::One(sum) if !sum.algorithm.is_strong() => {
                let problem = "has only digests that can be forged (MD5, SHA-1)";
                return Err(Error::Sums { path: file.into(), problem });
            }
            // What an archive holds is hashed by SHA-256 alone.
            Found::One(sum) if of_content && sum.algorithm != Algorithm::Sha256 => {}
            Found::One(sum) => {
                let by = file.display().to_string();
                return Ok(Some(Expected { digest: sum.digest, by, of_content }));
            }
        }
    }
    Ok(None)
}

impl ImageFile {
    /// As [`Image::open`], with every byte of the file read.
    ///
    /// # Errors
    /// When the file cannot be opened, or a decoder not be made.
    pub fn open_all(&self) -> io::Result<Box<dyn Read + Send>> {
        self.reader(true)
    }

    fn reader(&self, all: bool) -> io::Result<Box<dyn Read + Send>> {
        let decoded = self.decoded(all)?;
        Ok(match &self.map {
            Some(map) => Box::new(map.compare(decoded)),
            None => decoded,
        })
    }

    /// What the image holds. A raw file is not read where nobody needs it, unless its own digest says what it must be and
    /// the map does not prove the same.
    fn decoded(&self, all: bool) -> io::Result<Box<dyn Read + Send>> {
        let expected = self.expected.clone().filter(|expected| !expected.of_content);
        // What comes as a stream comes whole.
        let seekable = self.format == Format::Raw && self.stream.is_none();
        let sparse = self.map.as_ref().filter(|_map| seekable && !all);
        let proved = |expected: &Expected| sparse.is_some_and(|map| map.proves(&expected.digest));
        let expected = expected.filter(|expected| !proved(expected));
        let file = content(self)?;
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = u32::try_from(threads).unwrap_or(1);
        match (expected, sparse) {
            (Some(expected), _) => {
                let checked = BufReader::with_capacity(BLOCK, Checked::new(file, expected));
                decode::decoder(self.format, checked, threads)
            }
            (None, Some(map)) => Ok(Box::new(map.sparse(File::open(&self.path)?))),
            (None, None) => decode::decoder(self.format, BufReader::with_capacity(BLOCK, file), threads),
        }
    }
}

impl Image for ImageFile {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.reader(false)
    }

    fn length(&self) -> Option<u64> {
        let raw = (self.format == Format::Raw).then_some(self.size);
        raw.or_else(|| Some(self.map.as_ref()?.length))
    }

    fn needs(&self, offset: u64) -> bool {
        self.map.as_ref().is_none_or(|map| map.needs(offset))
    }

    fn skipped(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.skipped)
    }
}

/// The bytes of an image: a stream, a file, or a stretch of a device with other bytes at its start.
type Content = Box<dyn Read + Send>;

fn content(image: &ImageFile) -> io::Result<Content> {
    if let Some(stream) = &image.stream {
        return (stream.0)();
    }
    let mut file = File::open(&image.path)?;
    let start = image.head.len() as u64;
    file.seek(SeekFrom::Start(start))?;
    let rest = file.take(image.size.saturating_sub(start));
    Ok(Box::new(io::Cursor::new(image.head.clone()).chain(rest)))
}

/// A file whose end is an error when it was not the expected file.
struct Checked {
    file: Content,
    expected: Expected,
    hasher: digest::Context,
}

impl Checked {
    fn new(file: Content, expected: Expected) -> Self {
        let sha512 = expected.digest.len() == 128;
        let hasher = digest::Context::new(if sha512 { &digest::SHA512 } else { &digest::SHA256 });
        Self { file, expected, hasher }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        if n == 0 && !buffer.is_empty() {
            let found = self.hasher.clone().finish();
            let found: String = found.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            if found != self.expected.digest {
                let Expected { digest, by, .. } = self.expected.clone();
                return Err(io::Error::new(io::ErrorKind::InvalidData, Differs { digest, by, found }));
            }
        }
        Ok(n)
    }
}

/// A file is not the one that was meant.
#[derive(Debug)]
struct Differs {
    digest: String,
    by: String,
    found: String,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, by, found } = self;
        write!(f, "it is not the file that {by} names: expected {digest}, found {found}")
    }
}

impl std::error::Error for Differs {}

//! What drivers are asked, and what they answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, LoadError, text::Shown};

/// Who can be asked about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// NVIDIA's management library: what the driver says.
    Nvml,
    /// NVIDIA's encoder library: a session is opened, and the encoder enumerates what it does.
    Nvenc,
    /// The kernel's driver, by ioctl on the render node: AMDGPU, i915, Xe.
    Kernel,
    /// The Video Acceleration API: the driver enumerates its entry points.
    VaApi,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Nvml, Self::Nvenc, Self::Kernel, Self::VaApi];

    /// Its name in commands and JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::Nvml => "nvml",
            Self::Nvenc => "nvenc",
            Self::Kernel => "kernel",
            Self::VaApi => "va-api",
        }
    }

    /// The source of this name.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.id() == id)
    }

    /// Whom to ask about a device that this driver of the kernel is bound to.
    pub fn of_driver(driver: Option<&str>) -> &'static [Self] {
        match driver {
            Some("nvidia") => &[Self::Nvml, Self::Nvenc],
            Some("amdgpu" | "i915" | "xe") => &[Self::Kernel, Self::VaApi],
            Some("radeon") => &[Self::VaApi],
            _ => &[],
        }
    }

    /// An answer is the encoder's own enumeration, not a driver's claim.
    pub fn probes(self) -> bool {
        matches!(self, Self::Nvenc | Self::VaApi)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nvml => "NVML",
            Self::Nvenc => "NVENC",
            Self::Kernel => "the kernel",
            Self::VaApi => "VA-API",
        })
    }
}

/// What comes of a question.
pub type Outcome = Result<Answer, Failure>;

/// A source that was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who was asked.
    pub source: Source,
    /// What it said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<Answer>,
    /// Why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<Failure>,
}

impl Asked {
    /// From an outcome.
    pub fn new(source: Source, outcome: Outcome) -> Self {
        match outcome {
            Ok(answer) => Self { source, answer: Some(answer), failure: None },
            Err(failure) => Self { source, answer: None, failure: Some(failure) },
        }
    }

    /// As one line of JSON.
    pub fn to_line(&self) -> String {
        // Plain data always can be serialised.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Asked::to_line`] made of an outcome of this source.
    pub fn from_line(line: &str, source: Source) -> Option<Self> {
        let asked: Self = serde_json::from_str(line).ok()?;
        let whole = asked.answer.is_some() != asked.failure.is_some();
        (asked.source == source && whole).then_some(asked)
    }
}

/// What a driver said of a device. What it did not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Name of the device or of the driver's library.
    pub name: Option<String>,
    /// Version of the driver, or of the interface that was agreed on.
    pub version: Option<String>,
    /// What the product is sold as; only NVML says it.
    pub brand: Option<Brand>,
    /// Memory of the device.
    pub memory: Option<Bytes>,
    /// Engines that encode.
    pub encoders: Option<u32>,
    /// Engines that encode or decode, where the kernel does not tell them apart.
    pub video_engines: Option<u32>,
    /// Sessions that programs have open now.
    pub sessions: Option<u32>,
    /// What it encodes; empty when it encodes nothing.
    pub codecs: Option<Vec<Codec>>,
}

/// Something that an encoder makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Codec {
    /// As in the table, such as `hevc-10`.
    pub name: String,
    /// Most columns and rows of a picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub largest: Option<(u32, u32)>,
}

impl Codec {
    /// Of any size.
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), largest: None }
    }
}

/// What an NVIDIA product is sold as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brand {
    /// GeForce.
    GeForce,
    /// Quadro, RTX PRO, Tesla, virtual GPUs.
    Professional,
}

/// Why a driver gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Failure {
    /// Its library cannot be used.
    Library(LoadError),
    /// The device has no render node.
    NoNode,
    /// The driver's library and the kernel's module are of different versions.
    Mismatch,
    /// The kernel's module is not loaded.
    NotLoaded,
    /// A session was refused because there are too many, or because the driver wants none of ours.
    Limit {
        /// The driver's code.
        code: i64,
    },
    /// A call failed.
    Refused {
        /// The function.
        call: String,
        /// The driver's code.
        code: i64,
    },
    /// The driver's interface is older than every one that is known here.
    TooOld {
        /// Its version.
        version: String,
    },
    /// An answer that cannot be.
    Nonsense {
        /// What is wrong.
        what: String,
    },
    /// No answer in time.
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The process that asked ended without an answer.
    Died {
        /// How.
        how: String,
    },
    /// The process that asks could not be started.
    NotStarted {
        /// Why.
        reason: String,
    },
}

impl Failure {
    /// For results that contradict themselves.
    #[cfg(feature = "dynamic")]
    pub(crate) fn nonsense(what: impl Into<String>) -> Self {
        Self::Nonsense { what: what.into() }
    }

    /// Whether an encoder cannot be used when this is how the source failed. A library that is not installed says nothing
    /// against the device.
    pub fn stops(&self, source: Source) -> bool {
        match self {
            Self::Mismatch | Self::NotLoaded => true,
            Self::Library(LoadError::Absent { .. }) | Self::NoNode => false,
            _ => source.probes(),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Library(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::NoNode => f.write_str("the device has no render node"),
            Self::Mismatch => f.write_str("the library and the kernel's module have different versions"),
            Self::NotLoaded => f.write_str("the kernel's module is not loaded"),
            Self::Limit { code } => write!(f, "limit of sessions reached, or refused (code {code})"),
            Self::Refused { call, code } => write!(f, "{} failed with code {code}", Shown(call)),
            Self::TooOld { version } => write!(f, "version {} is too old", Shown(version)),
            Self::Nonsense { what } => write!(f, "its answer makes no sense: {}", Shown(what)),
            Self::TimedOut { seconds } => write!(f, "no answer within {seconds} seconds"),
            Self::Died { how } => write!(f, "its library ended the program: {}", Shown(how)),
            Self::NotStarted { reason } => write!(f, "cannot be asked: {}", Shown(reason)),
        }
    }
}

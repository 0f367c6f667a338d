//! The screens. Each owns its data, so a screen cannot be shown without what it needs.

mod choose;
mod consent;
mod disk;
mod done;
mod forms;
mod review;
mod work;

pub use choose::Choose;
pub use consent::Consent;
pub use disk::DiskChoice;
pub use done::{Afterwards, Done, Failure};
pub use forms::{FormKind, FormScreen};
pub use review::Review;
pub use work::Work;

/// A screen.
#[derive(Clone, Debug)]
pub enum Screen {
    /// Language, keyboard or time zone.
    Choose(Choose),
    /// Edition, user, host name or network.
    Form(FormScreen),
    /// The disk.
    Disk(DiskChoice),
    /// The plan is being made.
    Planning,
    /// The plan.
    Review(Review),
    /// The last question.
    Consent(Consent),
    /// The installation runs.
    Work(Work),
    /// The end.
    Done(Done),
}

/// Where a screen is in the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Language.
    Language,
    /// Keyboard.
    Keyboard,
    /// Time zone.
    Zone,
    /// Edition and license.
    Edition,
    /// Disk.
    Disk,
    /// First user.
    User,
    /// Name of the machine.
    Host,
    /// Network.
    Network,
    /// Plan and consent.
    Summary,
    /// Installation.
    Work,
    /// The end.
    Done,
}

impl Place {
    /// Places in order, up to the summary.
    pub const ASKED: [Self; 9] = [
        Self::Language,
        Self::Keyboard,
        Self::Zone,
        Self::Edition,
        Self::Disk,
        Self::User,
        Self::Host,
        Self::Network,
        Self::Summary,
    ];

    /// Heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Language => "Language",
            Self::Keyboard => "Keyboard",
            Self::Zone => "Time zone",
            Self::Edition => "Edition and license",
            Self::Disk => "Disk",
            Self::User => "User",
            Self::Host => "Host name",
            Self::Network => "Network",
            Self::Summary => "Summary",
            Self::Work => "Installing",
            Self::Done => "Finished",
        }
    }
}

impl Screen {
    /// Where it is in the sequence.
    pub fn place(&self) -> Place {
        match self {
            Self::Choose(screen) => screen.place(),
            Self::Form(screen) => screen.place(),
            Self::Disk(_) => Place::Disk,
            Self::Planning | Self::Review(_) | Self::Consent(_) => Place::Summary,
            Self::Work(_) => Place::Work,
            Self::Done(_) => Place::Done,
        }
    }
}

/// What a key led to.
#[derive(Clone, Debug)]
pub enum Go {
    /// The screen stays.
    Stay,
    /// To the screen before.
    Back,
    /// To the next screen.
    Next,
}

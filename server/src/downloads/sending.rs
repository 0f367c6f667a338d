//! What a configuration decides of sending files.

use super::Mirrors;

/// How files are sent. A request is answered by one from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Whether clients are sent to a bucket, where the content is in one; otherwise its bytes are passed on.
    pub redirect: bool,
    /// Who else has what everyone may download.
    pub mirrors: Mirrors,
    /// Downloads of one address at a time.
    pub at_a_time: usize,
}

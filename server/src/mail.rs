//! Mail: letters wait in the database, written in the batch of the act that they tell of, until one was delivered.
//!
//! Invariants: a letter of an act that did not happen is never sent; none is lost by a crash, and so one may come twice;
//! no field of a letter can hold a line feed.

mod folder;
mod smtp;

use std::sync::{Arc, PoisonError, RwLock};

use lettre::{
    Message,
    message::{Mailbox, header::ContentType},
};

use crate::{
    Clock, Error, Result,
    clock::TOLERANCE,
    store::{Later, Row, Statement, Store},
};

pub use folder::Folder;
pub use smtp::{Protection, Smtp};

/// Letters taken at a time.
const AT_A_TIME: i64 = 20;
/// Seconds until a letter is tried again, at most.
const LONGEST: i64 = 120 << 8;
/// Times that a letter is tried, over some three days.
const TRIES: i64 = 12;

/// A letter in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    to: String,
    subject: String,
    body: String,
}

impl Letter {
    /// A letter to one address.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a control character in address or subject, or a NUL in the text.
    pub fn new(to: &str, subject: &str, body: &str) -> Result<Self> {
        let bad = |text: &str| text.chars().any(char::is_control);
        if bad(to) || bad(subject) || body.contains('\0') {
            let problem = "holds a character that no letter may".into();
            return Err(Error::Corrupt { what: "a letter".into(), problem });
        }
        Ok(Self { to: to.into(), subject: subject.into(), body: body.into() })
    }

    /// The statement that queues it, to be sent from now on.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn queued(&self, now: i64) -> Result<Statement> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|error| Error::Io {
            doing: "reading",
            what: "random numbers".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let sql =
            "INSERT INTO outbox (id, recipient, subject, body, due_at, tries) VALUES ($1, $2, $3, $4, $5, 0)";
        let values = [
            id.into(),
            self.to.as_str().into(),
            self.subject.as_str().into(),
            self.body.as_str().into(),
            now.into(),
        ];
        Ok(Statement::new(sql, values))
    }

    /// The letter as it goes over the wire. The number makes one that comes twice known as the same.
    fn message(&self, from: &Mailbox, id: &str) -> Result<Message> {
        let to = self.to.parse().map_err(|error| unsendable(&error))?;
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(&self.subject)
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(self.body.clone())
            .map_err(|error| unsendable(&error))
    }
}

/// Addresses and links are not for logs.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Reads an address of a sender, as `Name <name@host>`.
///
/// # Errors
/// [`Error::Config`].
fn sender(place: &str, text: &str) -> Result<Mailbox> {
    text.parse().map_err(|error: lettre::address::AddressError| Error::Config {
        place: place.into(),
        problem: format!("is not an address of mail: {error}"),
        hint: "write it as Aegis OS <no-reply@example.org>".into(),
    })
}

fn unsendable(error: &dyn std::fmt::Display) -> Error {
    Error::Corrupt { what: "a letter".into(), problem: format!("cannot be written: {error}") }
}

/// Something that letters can be handed to.
pub trait Post: Send + Sync {
    /// Hands over a letter. When it returns, it is somebody else's to deliver.
    ///
    /// `id` is the same when the same letter is handed over again.
    fn deliver<'a>(&'a self, letter: &'a Letter, id: &'a str) -> Later<'a, ()>;
}

/// Takes letters from the database to the post. Any number of processes may do it at a time.
pub struct Courier {
    store: Arc<dyn Store>,
    post: RwLock<Arc<dyn Post>>,
    clock: Clock,
}

impl Courier {
    /// Between a database and a post.
    pub fn new(store: Arc<dyn Store>, post: Arc<dyn Post>, clock: Clock) -> Self {
        Self { store, post: RwLock::new(post), clock }
    }

    /// Hands the next letters to another post.
    pub fn replace(&self, post: Arc<dyn Post>) {
        *self.post.write().unwrap_or_else(PoisonError::into_inner) = post;
    }

    fn post(&self) -> Arc<dyn Post> {
        Arc::clone(&self.post.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Delivers what is due, looking every two seconds, until the future is dropped. A letter is never in two hands:
    /// one that was interrupted is tried again later.
    pub async fn run(&self) {
        loop {
            match self.deliver_due().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(error = aegis_core::report::render(&error), "letters wait");
                }
            }
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    }

    /// Delivers up to twenty letters that are due; how many were delivered.
    ///
    /// # Errors
    /// When the database fails. What the post refuses is tried again later, and is no error here.
    pub async fn deliver_due(&self) -> Result<usize> {
        let now = self.clock.now();
        let query = "SELECT id, recipient, subject, body, due_at, tries FROM outbox \
            WHERE due_at <= $1 OR due_at > $2 ORDER BY due_at, id LIMIT $3";
        // What is due after any pause was put off before the clock was put back.
        let values = [now.into(), (now + LONGEST + TOLERANCE).into(), AT_A_TIME.into()];
        let rows = self.store.read(Statement::new(query, values)).await?;
        let mut delivered = 0;
        for row in &rows {
            delivered += usize::from(self.deliver(row, now).await?);
        }
        Ok(delivered)
    }

    async fn deliver(&self, row: &Row, now: i64) -> Result<bool> {
        let (id, due, tries) = (row.blob(0)?, row.int(4)?, row.int(5)?);
        // Taken by putting off the next try: who comes second takes nothing.
        let take =
            "UPDATE outbox SET due_at = $1, tries = tries + 1 WHERE id = $2 AND due_at = $3 AND tries = $4";
        let values = [(now + pause(tries)).into(), id.into(), due.into(), tries.into()];
        match self.store.write(vec![Statement::new(take, values).expecting(1)]).await {
            Ok(_) => {}
            Err(Error::Condition(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let letter =
            Letter { to: row.text(1)?.into(), subject: row.text(2)?.into(), body: row.text(3)?.into() };
        let name = data_encoding::HEXLOWER.encode(id);
        let done = self.post().deliver(&letter, &name).await;
        if let Err(error) = &done {
            tracing::warn!(
                letter = name,
                error = aegis_core::report::render(error),
                "a letter was not delivered"
            );
        }
        if done.is_ok() || tries + 1 >= TRIES {
            if done.is_err() {
                tracing::error!(letter = name, "a letter is given up");
            }
            let remove = Statement::new("DELETE FROM outbox WHERE id = $1", [id.into()]);
            self.store.write(vec![remove]).await?;
        }
        Ok(done.is_ok())
    }
}

/// Seconds until the next try: from two minutes, doubled each time, up to half a day.
fn pause(tries: i64) -> i64 {
    LONGEST >> (8 - tries.clamp(0, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_letter_breaks_a_line() {
        for (to, subject) in [
            ("a@b.de\r\nBcc: c@d.de", "s"),
            ("a@b.de", "s\nBcc: c@d.de"),
            ("a@b.de", "s\rX: y"),
            ("a\0@b.de", "s"),
            ("a@b.de", "s\u{85}t"),
        ] {
            assert!(Letter::new(to, subject, "b").is_err(), "{to:?} {subject:?}");
        }
        assert!(Letter::new("a@b.de", "s", "b\0").is_err());
        let from = sender("from", "Aegis OS <no-reply@example.org>").unwrap();
        let letter = Letter::new("a@b.de", "Grüße", "a\n.\nBcc: c@d.de\nö").unwrap();
        let text = String::from_utf8(letter.message(&from, "00").unwrap().formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("Bcc") && head.contains("To: a@b.de\r\n"), "{head}");
        assert!(head.contains("Message-ID: <00@example.org>"), "{head}");
        for bad in ["", "x", "a@b.de\r\nX: y", "A <a@b.de>, B <c@d.de>"] {
            assert!(sender("from", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!((pause(0), pause(1), pause(50)), (120, 240, 30_720));
    }
}

//! What of accounts enters the audit log, in the batch of the act that it tells of: both are there, or neither.
//!
//! Actor and subject are numbers of accounts, `operator` for the person at the machine, `stranger` for whoever is not
//! signed in, and `none` where there is no account; an entry never holds an address.
//!
//! What strangers can do as often as they like is not an entry each, or the log would be theirs to fill: asking for
//! letters is none, exchanging refresh tokens is none, and of attempts that failed those are entries that begin a wait,
//! at most [`WAITS`] in a minute for each process. The next entry says how many were left out. Entries of waits are made
//! for addresses with and without an account, so that the time which they take tells nothing.

use std::sync::{Arc, Mutex, PoisonError};

use super::{AccountId, Accounts, attempts::Place};
use crate::{
    Result,
    audit::{Entry, Log},
    store::{Outcome, Statement, Store},
};

/// Entries of waits in a minute.
const WAITS: i64 = 30;

/// The log, and what is left of this minute.
pub(super) struct Record {
    log: Arc<Log<dyn Store>>,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    minute: i64,
    written: i64,
    left_out: i64,
}

impl Waits {
    /// How many were left out before this one; `None` when this one is left out too.
    fn next(&mut self, now: i64) -> Option<i64> {
        let minute = now.div_euclid(60);
        if minute != self.minute {
            (self.minute, self.written) = (minute, 0);
        }
        if self.written >= WAITS {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Accounts {
    /// Writes acts of accounts into a log, which must be that of the same database.
    #[must_use]
    pub fn with_log(mut self, log: Arc<Log<dyn Store>>) -> Self {
        self.record = Some(Record { log, waits: Mutex::default() });
        self
    }

    /// Does a batch that is an act, together with its entry.
    pub(super) async fn act(&self, batch: Vec<Statement>, entry: Entry) -> Result<Vec<Outcome>> {
        match &self.record {
            Some(record) => {
                record.log.append_with(batch, &[entry]).await.map(|(outcomes, _checkpoint)| outcomes)
            }
            None => self.store.write(batch).await,
        }
    }

    /// An act of somebody on their own account.
    pub(super) fn own(&self, account: AccountId, act: &str) -> Entry {
        let name = name_of(account);
        Entry::new(self.clock.now(), &name, act, &name)
    }

    /// An act of somebody on an account; `None` is the person at the machine.
    pub(super) fn of(&self, by: Option<AccountId>, account: AccountId, act: &str) -> Entry {
        let actor = by.map_or_else(|| "operator".into(), name_of);
        Entry::new(self.clock.now(), &actor, act, &name_of(account))
    }

    /// An act of whoever it was, on an account.
    pub(super) fn of_stranger(&self, account: AccountId, act: &str) -> Entry {
        Entry::new(self.clock.now(), "stranger", act, &name_of(account))
    }

    /// Notes that so many attempts in a row made the next one wait.
    pub(super) async fn note_wait(&self, place: &Place, attempts: i64, seconds: i64) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let now = self.clock.now();
        let Some(left_out) = record.waits.lock().unwrap_or_else(PoisonError::into_inner).next(now) else {
            return Ok(());
        };
        let subject = place.account().map_or_else(|| "none".into(), name_of);
        let mut entry = Entry::new(now, "stranger", "account.lock", &subject)
            .with("by", place.act())
            .with("attempts", attempts)
            .with("seconds", seconds);
        if left_out > 0 {
            entry = entry.with("left_out_before", left_out);
        }
        record.log.append(&[entry]).await.map(drop)
    }
}

fn name_of(account: AccountId) -> String {
    format!("account:{}", account.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_waits_is_counted_and_not_written() {
        let mut waits = Waits::default();
        let written = (0..1000).filter_map(|_| waits.next(600)).collect::<Vec<_>>();
        assert_eq!(written, vec![0; 30]);
        assert_eq!(waits.next(659), None);
        assert_eq!((waits.next(660), waits.next(660)), (Some(971), Some(0)));
        // Also when the clock goes back.
        assert_eq!(waits.next(0), Some(0));
    }
}

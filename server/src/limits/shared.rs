//! Counting together with other processes, by one conditional statement.
//!
//! The clocks of the processes must agree to about a second; one that is ahead counts its requests earlier, no more.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::{
    Rule, Subject,
    gcra::{Decision, Pace},
};
use crate::{
    Result,
    store::{Statement, Store, Value},
};

/// One row for each rule and subject: the theoretical arrival time in microseconds.
pub(super) struct Shared {
    store: Arc<dyn Store>,
    pepper: hmac::Key,
}

impl Shared {
    pub(super) fn new(store: Arc<dyn Store>, pepper: &[u8; 32]) -> Self {
        Self { store, pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper) }
    }

    /// As [`Pace::decide`], in the database: the first statement moves the arrival time when it may, the second tells what
    /// it is when it may not.
    pub(super) async fn check(&self, rule: &Rule, subject: Subject, now: i64) -> Result<Decision> {
        let pace = Pace::of(rule);
        let name = self.name(subject);
        let sql = "INSERT INTO limits (rule, subject, arrival) VALUES ($1, $2, $3) \
                   ON CONFLICT (rule, subject) DO UPDATE SET \
                   arrival = CASE WHEN limits.arrival < $4 THEN $5 ELSE limits.arrival + $6 END \
                   WHERE limits.arrival <= $7 RETURNING arrival";
        let first = now.saturating_add(pace.interval);
        let values: [Value; 7] = [
            rule.name.into(),
            name.clone().into(),
            first.into(),
            now.into(),
            first.into(),
            pace.interval.into(),
            pace.latest(now).into(),
        ];
        // A clock that was put back left a time that cannot be; see `Pace::sane`.
        let repair = "UPDATE limits SET arrival = $1 WHERE rule = $2 AND subject = $3 AND arrival > $4";
        let furthest = now.saturating_add(pace.span);
        let repaired = [furthest.into(), rule.name.into(), name.clone().into(), furthest.into()];
        let ask = "SELECT arrival FROM limits WHERE rule = $1 AND subject = $2";
        let batch = vec![
            Statement::new(repair, repaired),
            Statement::new(sql, values),
            Statement::new(ask, [rule.name.into(), name.into()]).expecting(1),
        ];
        let outcomes = self.store.write(batch).await?;
        let [_, moved, found] = outcomes.as_slice() else { return Ok(pace.refused(furthest, now)) };
        let arrival = found.returned.first().map_or(Ok(furthest), |row| row.int(0))?;
        Ok(if moved.rows == 1 { pace.allowed(arrival, now) } else { pace.refused(arrival, now) })
    }

    /// Drops those whose quota is whole.
    pub(super) async fn sweep(&self, now: i64) -> Result<()> {
        let sql = "DELETE FROM limits WHERE arrival < $1";
        self.store.write(vec![Statement::new(sql, [now.into()])]).await.map(|_| ())
    }

    fn name(&self, subject: Subject) -> Vec<u8> {
        let tag = hmac::sign(&self.pepper, &[&[subject.kind], subject.id.as_slice()].concat());
        tag.as_ref()[..16].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{
        Clock,
        limits::{By, gcra::SECOND},
        store::Sqlite,
    };

    const RULE: Rule = Rule { name: "sign-in", by: By::Address, quota: 5, window: 60, shared: true };

    fn store(directory: &tempfile::TempDir) -> Arc<dyn Store> {
        Arc::new(Sqlite::open(&directory.path().join("aegis.db"), &Clock::default()).unwrap())
    }

    fn subject() -> Subject {
        Subject::address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)))
    }

    #[tokio::test]
    async fn it_decides_as_the_pure_function_does() {
        let directory = tempfile::TempDir::new().unwrap();
        let shared = Shared::new(store(&directory), &[1; 32]);
        let (pace, mut arrival) = (Pace::of(&RULE), i64::MIN);
        // Also with a clock that is put back.
        for second in
            [1_000, 1_000, 1_001, 1_001, 1_001, 1_001, 1_013, 1_013, 1_100, 500, 500, 512, 512, 2_000]
        {
            let now = second * SECOND;
            let (expected, new) = pace.decide(arrival, now);
            arrival = new;
            assert_eq!(shared.check(&RULE, subject(), now).await.unwrap(), expected, "at {second}");
        }
    }
}

//! Counters of failed attempts, each for one account as tried from one network, so that nobody locks out anybody else.

use std::net::IpAddr;

use super::{AccountId, Accounts, Denied};
use crate::{Error, store::Statement};

/// How long failures are remembered after the last, in seconds.
pub(super) const MEMORY: i64 = 24 * 3600;

/// Counts before the attempt: of many at once no more get through than one after the other. The fifth failure and those
/// after it make wait 5, 15, 60 and 300 seconds, then always 900.
const COUNT: &str = "INSERT INTO failed_attempts (place, failures, allowed_at, forgotten_at, holder) VALUES ($1, 1, 0, $3, $4) \
    ON CONFLICT (place) DO UPDATE SET holder = $4, \
    failures = CASE WHEN failed_attempts.forgotten_at <= $2 THEN 1 ELSE failed_attempts.failures + 1 END, \
    allowed_at = CASE WHEN failed_attempts.forgotten_at <= $2 OR failed_attempts.failures < 4 THEN 0 \
    WHEN failed_attempts.failures = 4 THEN $2 + 5 WHEN failed_attempts.failures = 5 THEN $2 + 15 \
    WHEN failed_attempts.failures = 6 THEN $2 + 60 WHEN failed_attempts.failures = 7 THEN $2 + 300 ELSE $2 + 900 END, \
    forgotten_at = $3 WHERE failed_attempts.allowed_at <= $2 \
    RETURNING failures, allowed_at";

/// The name of a counter.
pub(super) struct Place {
    name: Vec<u8>,
    act: &'static str,
    account: Option<AccountId>,
}

impl Place {
    /// Names the account, for the audit log.
    pub(super) fn of(mut self, account: Option<AccountId>) -> Self {
        self.account = account;
        self
    }

    pub(super) const fn act(&self) -> &'static str {
        self.act
    }

    pub(super) const fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// Ends the counter; part of the batch of a success.
    pub(super) fn forgotten(&self) -> Statement {
        Statement::new("DELETE FROM failed_attempts WHERE place = $1", [self.name.as_slice().into()])
    }
}

impl Accounts {
    /// The counter of an act on one account from one network.
    pub(super) fn place(&self, act: &'static str, account: &[u8], peer: IpAddr) -> Place {
        let name = self.keys.place(&[act.as_bytes(), account, network(peer).as_bytes()]);
        Place { name, act, account: None }
    }

    /// The counter of a device that was signed in before: what others do from anywhere does not reach it.
    pub(super) fn place_of_device(&self, act: &'static str, device: &[u8]) -> Place {
        Place { name: self.keys.place(&[act.as_bytes(), b"device", device]), act, account: None }
    }

    /// Whose counters these are, so that they can be ended together; it names the account to nobody else.
    pub(super) fn holder(&self, account: AccountId) -> Vec<u8> {
        self.keys.place(&[b"holder", &account.0])
    }

    /// Counts an attempt, as failed until it succeeds, or refuses it.
    pub(super) async fn attempt(&self, place: &Place) -> Result<(), Denied> {
        self.attempt_with(place, Vec::new()).await
    }

    /// Counts an attempt in one batch with what it does.
    pub(super) async fn attempt_with(&self, place: &Place, mut batch: Vec<Statement>) -> Result<(), Denied> {
        let now = self.clock.now();
        let holder = place.account.map(|account| self.holder(account));
        let values = [place.name.as_slice().into(), now.into(), (now + MEMORY).into(), holder.into()];
        batch.insert(0, Statement::new(COUNT, values).expecting(1));
        match self.store.write(batch).await {
            Ok(outcomes) => {
                let row = outcomes.first().and_then(|outcome| outcome.returned.first());
                let (attempts, allowed) =
                    row.map_or(Ok((0, 0)), |row| row.int(0).and_then(|n| Ok((n, row.int(1)?))))?;
                if allowed > now {
                    self.note_wait(place, attempts, allowed - now).await?;
                }
                Ok(())
            }
            Err(Error::Condition(0)) => Err(self.how_long(place, now).await?),
            Err(error) => Err(error.into()),
        }
    }

    async fn how_long(&self, place: &Place, now: i64) -> Result<Denied, Denied> {
        let query = "SELECT allowed_at FROM failed_attempts WHERE place = $1";
        let rows = self.store.read(Statement::new(query, [place.name.as_slice().into()])).await?;
        let allowed = rows.first().map_or(Ok(now + 1), |row| row.int(0))?;
        Ok(Denied::Later(u64::try_from(allowed - now).unwrap_or(1).max(1)))
    }
}

/// The network of an address, which one person can hold whole: /24 of IPv4, /56 of IPv6.
pub(super) fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{:x}::/56", d & 0xFF00)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (peer, expected) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
            ("2001:db8:1:299::1", "2001:db8:1:200::/56"),
        ] {
            assert_eq!(network(peer.parse().unwrap()), expected);
        }
    }
}

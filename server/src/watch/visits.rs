//! Visits of a day, counted without cookies and without identities.
//!
//! Invariant: an address and a browser's name are hashed with a salt that is made for the day, is in memory alone and is
//! forgotten with it; what is kept of the hash is the position of its first set bit, for one in 4096 of all hashes
//! (HyperLogLog, Flajolet et al. 2007). Nobody can be found in it, nor followed into the next day. Who asks not to be
//! tracked (DNT, Global Privacy Control) is not counted.
//!
//! The number is an estimate, good to about 1.6 %, of one process; a visitor whom a load balancer sends to two is counted
//! by both. Numbers of several days are never to be added up to visitors.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{hmac, rand};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};

use crate::{Clock, limits::Client};

/// Bits of a hash that choose a register.
const BITS: u32 = 12;
/// Registers.
const REGISTERS: usize = 1 << BITS;
const DAY: i64 = 86_400;

/// The visits of today.
pub struct Visits {
    clock: Clock,
    day: Mutex<Day>,
}

struct Day {
    number: i64,
    /// `None` when the system gave no random numbers; then nobody is counted.
    salt: Option<hmac::Key>,
    registers: Vec<u8>,
    /// The number of the day before, when this process saw it.
    before: Option<u64>,
}

impl Day {
    fn new(number: i64, before: Option<u64>) -> Self {
        let mut salt = [0; 32];
        let made = rand::fill(&mut salt).is_ok();
        let salt = made.then(|| hmac::Key::new(hmac::HMAC_SHA256, &salt));
        Self { number, salt, registers: vec![0; REGISTERS], before }
    }

    fn add(&mut self, visitor: &[u8]) {
        let Some(salt) = &self.salt else { return };
        let tag = hmac::sign(salt, visitor);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&tag.as_ref()[..8]);
        let hash = u64::from_be_bytes(bytes);
        let register = usize::try_from(hash >> (u64::BITS - BITS)).unwrap_or_default();
        // The bit behind the rest ends the count.
        let rank = ((hash << BITS) | 1 << (BITS - 1)).leading_zeros() + 1;
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        self.registers[register] = self.registers[register].max(rank);
    }

    #[expect(clippy::cast_possible_truncation, reason = "an estimate of a number that fits")]
    fn estimate(&self) -> u64 {
        let all = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / all) * all * all / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        // Few visitors are counted better by the registers that they left empty.
        let estimate = if raw <= 2.5 * all && empty > 0 { all * (all / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

impl Visits {
    /// Nobody yet.
    pub fn new(clock: Clock) -> Self {
        let day = Mutex::new(Day::new(clock.now().div_euclid(DAY), None));
        Self { clock, day }
    }

    /// Counts a visitor, unless the headers ask not to.
    pub fn count(&self, client: IpAddr, headers: &HeaderMap) {
        let asks = |name| headers.get(name).is_some_and(|value: &HeaderValue| value.as_bytes() == b"1");
        if asks("dnt") || asks("sec-gpc") {
            return;
        }
        let agent = headers.get(header::USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
        let visitor = [client.to_canonical().to_string().as_bytes(), b"\0", agent].concat();
        self.today_of(|day| day.add(&visitor));
    }

    /// Visits since midnight in UTC.
    pub fn today(&self) -> u64 {
        self.today_of(|day| day.estimate())
    }

    /// Visits of the day before; `None` when this process did not run then.
    pub fn yesterday(&self) -> Option<u64> {
        self.today_of(|day| day.before)
    }

    fn today_of<T>(&self, act: impl FnOnce(&mut Day) -> T) -> T {
        let number = self.clock.now().div_euclid(DAY);
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if day.number != number {
            let before = (number == day.number + 1).then(|| day.estimate());
            *day = Day::new(number, before);
        }
        act(&mut day)
    }
}

/// Counts who is shown a page of `router`.
pub fn count_visits(router: Router, visits: Arc<Visits>) -> Router {
    router.layer(middleware::from_fn_with_state(visits, count))
}

async fn count(State(visits): State<Arc<Visits>>, request: Request, next: Next) -> Response {
    let client =
        request.extensions().get::<Client>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0);
    let asked = (request.method() == Method::GET).then(|| request.headers().clone());
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let shown = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    if let Some(headers) = asked.filter(|_| shown && kind.starts_with(b"text/html")) {
        visits.count(client, &headers);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, response::Html, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(number))
    }

    #[test]
    fn the_estimate_is_near_and_memory_does_not_grow() {
        let visits = Visits::new(Clock::default());
        let mut counted = 0;
        for goal in [0, 1, 10, 1000, 5000, 12_000, 50_000] {
            for number in counted..goal {
                visits.count(address(number), &HeaderMap::new());
                visits.count(address(number), &HeaderMap::new());
            }
            counted = goal;
            let (found, exact) = (visits.today() as f64, f64::from(goal));
            // Five times the standard error.
            assert!((found - exact).abs() <= exact * 0.08 + 0.5, "{found} of {exact}");
        }
        assert_eq!(visits.day.lock().unwrap().registers.len(), REGISTERS);
    }

    #[test]
    fn a_day_ends_with_its_salt() {
        let clock = Clock::default();
        let visits = Visits::new(clock.clone());
        let count = || (0..100).for_each(|number| visits.count(address(number), &HeaderMap::new()));
        count();
        let before = visits.day.lock().unwrap().registers.clone();
        let today = visits.today();
        clock.advance(DAY);
        assert_eq!((visits.today(), visits.yesterday()), (0, Some(today)));
        count();
        assert_ne!(visits.day.lock().unwrap().registers, before, "the same visitors are others");
        clock.advance(2 * DAY);
        assert_eq!((visits.today(), visits.yesterday()), (0, None), "a day that nobody counted");
        clock.advance(-DAY);
        assert_eq!(visits.today(), 0);
    }

    #[tokio::test]
    async fn pages_are_counted_and_wishes_kept() {
        let visits = Arc::new(Visits::new(Clock::default()));
        let routes = Router::new()
            .route("/", get(async || Html("page")))
            .route("/data", get(async || "data"))
            .route("/gone", get(async || (StatusCode::GONE, Html("gone"))));
        let site = count_visits(routes, Arc::clone(&visits));
        let ask = async |method: &str, path: &str, host: u32, name: &'static str| {
            let mut request =
                Request::builder().method(method).uri(path).header(name, "1").body(Body::empty()).unwrap();
            request.extensions_mut().insert(Client(address(host)));
            site.clone().oneshot(request).await.unwrap();
        };
        ask("GET", "/", 1, "dnt").await;
        ask("GET", "/", 2, "sec-gpc").await;
        ask("HEAD", "/", 3, "x").await;
        ask("GET", "/data", 4, "x").await;
        ask("GET", "/gone", 5, "x").await;
        assert_eq!(visits.today(), 0);
        ask("GET", "/", 6, "x").await;
        ask("GET", "/", 6, "x").await;
        ask("GET", "/", 7, "x").await;
        assert_eq!(visits.today(), 2);
    }
}

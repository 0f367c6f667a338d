//! Downloads that run, so that no address has too many of them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::http::{Code, Problem};

/// Downloads that run.
#[derive(Debug, Default)]
pub struct Running {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One place among the downloads of an address.
pub(super) struct Place {
    running: Arc<Running>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.running.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = running.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                running.remove(&self.address);
            }
        }
    }
}

impl Running {
    /// A place for one more download of an address, if it has fewer than `most`.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr, most: usize) -> Result<Place, Problem> {
        let mut running = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = running.entry(address).or_default();
        if *taken >= most {
            let why = format!("{most} downloads run for this address already");
            return Err(Problem::new(Code::RateLimited).because(why).retry_after(30));
        }
        *taken += 1;
        Ok(Place { running: Arc::clone(self), address })
    }
}

//! A flood of sign-ins beside downloads.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{DOWNLOADS, FILE, ROUNDS, client, median, milliseconds, of_hundred, process::Process, report};
use crate::error::Error;

/// Those who sign in, each again as soon as it was answered.
const PEOPLE: u8 = 16;

/// What the flood was told.
#[derive(Default)]
struct Flood {
    /// How long answers took of whose password was looked at.
    checked: Vec<Duration>,
    /// Those who were told to come later.
    turned_away: usize,
}

/// Downloads alone and beside the flood, in turns, by the clock.
pub(super) fn measure(ours: &Process) -> Result<String, Error> {
    let (mut alone, mut beside, mut all, mut seconds) = (Vec::new(), Vec::new(), Flood::default(), 0.0);
    for _ in 0..ROUNDS {
        alone.push(speed(ours)?);
        let begun = Instant::now();
        let (flooded, flood) = flooded(ours)?;
        seconds += begun.elapsed().as_secs_f64();
        beside.push(flooded);
        all.checked.extend(flood.checked);
        all.turned_away += flood.turned_away;
    }
    let (alone, beside) = (median(&alone), median(&beside));
    let (checked, turned_away) = (all.checked.len() as f64 / seconds, all.turned_away as f64 / seconds);
    let text = format!(
        "\n{DOWNLOADS} downloads by one client while {PEOPLE} others sign in with wrong passwords without a pause, by the \
         clock; clients and server share this machine. Medians of {ROUNDS} rounds in turns: {:.0} MB/s alone, {:.0} MB/s \
         beside the flood, which was answered {checked:.1} times a second, 99 of 100 within {}, and told to come later \
         {turned_away:.1} times a second.\n\n",
        alone / 1e6,
        beside / 1e6,
        milliseconds(of_hundred(all.checked, 99)),
    );
    Ok(text + &report::at_least("speed of downloads beside a flood of sign-ins", beside / alone, 0.9))
}

/// Bytes a second of downloads one after the other.
fn speed(ours: &Process) -> Result<f64, Error> {
    let begun = Instant::now();
    for _ in 0..DOWNLOADS {
        client::download(ours, false, FILE)?;
    }
    Ok((DOWNLOADS * FILE) as f64 / begun.elapsed().as_secs_f64())
}

fn flooded(ours: &Process) -> Result<(f64, Flood), Error> {
    let (stop, flood) = (AtomicBool::new(false), Mutex::new(Flood::default()));
    thread::scope(|scope| {
        let people: Vec<_> = (0..PEOPLE)
            .map(|person| {
                let (stop, flood) = (&stop, &flood);
                scope.spawn(move || sign_in(ours, person, stop, flood))
            })
            .collect();
        let speed = speed(ours);
        stop.store(true, Ordering::Relaxed);
        for person in people {
            person.join().map_err(|_panic| super::wrong("somebody who signs in ended"))??;
        }
        Ok((speed?, std::mem::take(&mut *flood.lock().unwrap_or_else(PoisonError::into_inner))))
    })
}

/// Signs in from another network each time, so that no limit but that of the machine holds.
fn sign_in(ours: &Process, person: u8, stop: &AtomicBool, flood: &Mutex<Flood>) -> Result<(), Error> {
    for turn in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let [_, a, b, c] = turn.to_be_bytes();
        let begun = Instant::now();
        let status = client::sign_in(ours.plain, [10 + person, a, b, c].into())?;
        let mut flood = flood.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            401 => flood.checked.push(begun.elapsed()),
            429 | 503 => flood.turned_away += 1,
            other => return Err(super::wrong(format!("a sign-in was answered by {other}"))),
        }
    }
    Ok(())
}

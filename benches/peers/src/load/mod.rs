//! The load generator: one thread that does one piece of [`Work`] and tells what became of it.

mod client;
mod closed;
mod h1;
mod h2c;
mod lane;
mod open;
mod pace;
mod request;
mod tally;
mod websocket;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;

use self::lane::Lane;
use self::request::Requests;
use self::tally::Tally;
use crate::parent::Parent;
use crate::work::{READY, Shape, Until, Work};

/// How long answers may take after the end; what has none by then has failed.
const GRACE: Duration = Duration::from_secs(5);

/// Does the work, and prints what became of it.
///
/// Errors: connections cannot be made at all. What goes wrong later is counted.
pub async fn run(work: Work) -> io::Result<()> {
    LocalSet::new().run_until(perform(work)).await
}

async fn perform(work: Work) -> io::Result<()> {
    let requests = Rc::new(Requests::new(&work));
    let mut lanes = Lane::connect(&work, &requests).await?;
    let mut parent = Parent::listen();
    match work.shape {
        Shape::Idle { served: false } => stay(&mut parent).await,
        Shape::Idle { served: true } => {
            for lane in &mut lanes {
                lane.exchange().await?;
            }
            stay(&mut parent).await;
        }
        Shape::Held => {
            for mut lane in lanes {
                tokio::task::spawn_local(async move { lane.exchange().await });
            }
            stay(&mut parent).await;
        }
        Shape::Slow { rate } => slowly(lanes, rate, &mut parent).await?,
        Shape::Closed(until) => {
            let lanes = warm_up(lanes, &work).await;
            told_to_go(&mut parent).await?;
            let tally = Rc::new(Tally::new(work.expect));
            closed::run(lanes, until, &tally).await;
            tally.print()?;
        }
        Shape::Open { rate, seconds, seed } => {
            let lanes = if work.warm_up > 0.0 {
                let tally = Rc::new(Tally::new(work.expect));
                open::run(lanes, (rate, work.warm_up, seed ^ 1), &tally).await?
            } else {
                lanes
            };
            told_to_go(&mut parent).await?;
            let tally = Rc::new(Tally::new(work.expect));
            open::run(lanes, (rate, seconds, seed), &tally).await?;
            tally.print()?;
        }
    }
    Ok(())
}

/// Runs before the work counts.
async fn warm_up(lanes: Vec<Lane>, work: &Work) -> Vec<Lane> {
    if work.warm_up == 0.0 {
        return lanes;
    }
    let tally = Rc::new(Tally::new(work.expect));
    closed::run(lanes, Until::Seconds(work.warm_up), &tally).await
}

/// Says that all is ready, and waits for the word.
async fn told_to_go(parent: &mut Parent) -> io::Result<()> {
    println!("{READY}");
    match parent.line().await {
        Some(_) => Ok(()),
        None => Err(io::Error::other("the driver is gone")),
    }
}

/// Says that all is ready, and stays.
async fn stay(parent: &mut Parent) {
    println!("{READY}");
    parent.gone().await;
}

/// Reads one answer on each lane at a rate.
async fn slowly(lanes: Vec<Lane>, rate: usize, parent: &mut Parent) -> io::Result<()> {
    for mut lane in lanes {
        tokio::task::spawn_local(async move { lane.read_slowly(rate).await });
    }
    stay(parent).await;
    Ok(())
}

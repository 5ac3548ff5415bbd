//! Which lane serves a connection: the kernel gives it to any of them, and one that has more than another
//! passes it on.
//!
//! What chance spreads would stay uneven for as long as clients stay: of two lanes one would have more to do
//! than its core can, and each would need as many connections to an origin as the unluckiest distribution asks for.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::downstream::Ends;
use crate::proxy::clients::Newcomer;
use crate::proxy::{Admitted, Lane};
use crate::quota::Quota;

/// Connections that may be on their way to a lane.
const ARRIVALS_MAX: usize = 256;

/// All lanes, as one of them sees them.
#[derive(Debug)]
pub struct Spread {
    seats: Arc<[Seat]>,
    own: usize,
}

/// One lane, as the others see it.
#[derive(Debug)]
pub struct Seat {
    /// How many connections are the lane's.
    pub connections: Arc<Quota>,
    arrivals: mpsc::Sender<Arrival>,
}

/// A connection that was let in, on its way to the lane that will serve it.
#[derive(Debug)]
pub struct Arrival {
    stream: std::net::TcpStream,
    ends: Ends,
    admitted: Admitted,
}

impl Spread {
    /// One for each lane, with what other lanes pass on to it.
    pub fn among(lanes: usize) -> impl Iterator<Item = (Self, mpsc::Receiver<Arrival>)> {
        let seat = |_| {
            let (arrivals, passed) = mpsc::channel(ARRIVALS_MAX);
            (Seat { connections: Arc::default(), arrivals }, passed)
        };
        let (seats, passed): (Vec<_>, Vec<_>) = (0..lanes).map(seat).unzip();
        let seats: Arc<[Seat]> = seats.into();
        passed
            .into_iter()
            .enumerate()
            .map(move |(own, passed)| (Self { seats: Arc::clone(&seats), own }, passed))
    }

    /// The lane with the fewest connections; this one, unless another has fewer.
    pub fn choose(&self) -> &Seat {
        let own = &self.seats[self.own];
        let count = |seat: &&Seat| seat.connections.taken();
        self.seats.iter().min_by_key(count).filter(|seat| count(seat) < count(&own)).unwrap_or(own)
    }

    /// Serves a connection on the lane that was chosen; on this one if too many are on their way to that.
    pub fn seat(
        &self,
        seat: &Seat,
        stream: TcpStream,
        ends: Ends,
        admitted: Admitted,
        lane: &Rc<Lane>,
    ) {
        let is_own = std::ptr::eq(seat, &raw const self.seats[self.own]);
        let passed = if is_own { None } else { seat.arrivals.try_reserve().ok() };
        let Some(passed) = passed else { return serve(stream, ends, admitted, lane) };
        match stream.into_std() {
            Ok(stream) => passed.send(Arrival { stream, ends, admitted }),
            Err(error) => tell_of_loss(ends, &error),
        }
    }
}

impl Arrival {
    /// Serves it on this lane.
    pub fn serve(self, lane: &Rc<Lane>) {
        let Self { stream, ends, admitted } = self;
        match TcpStream::from_std(stream) {
            Ok(stream) => serve(stream, ends, admitted, lane),
            Err(error) => tell_of_loss(ends, &error),
        }
    }
}

fn serve(stream: TcpStream, ends: Ends, admitted: Admitted, lane: &Lane) {
    lane.newcomers.add(Newcomer { stream, ends, admitted });
}

/// A socket that one lane's poll does not give up, or another's does not take, is closed.
fn tell_of_loss(ends: Ends, error: &io::Error) {
    tracing::warn!("a connection of {} is closed on its way to another lane: {error}", ends.peer);
}

//! The stats port: a line in, the counts as a line of JSON out.
//!
//! The line `release` answers what is held, any other changes nothing.

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::state::State;

/// Serves the driver, which asks once per connection.
pub async fn serve(listener: TcpListener, state: Rc<State>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = answer(stream, &state).await; // the driver sees that nothing came
        }
    }
}

async fn answer(stream: TcpStream, state: &State) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.trim() == "release" {
        state.release();
    }
    let counts = serde_json::to_string(&state.counts())?;
    stream.write_all(counts.as_bytes()).await?;
    stream.shutdown().await
}

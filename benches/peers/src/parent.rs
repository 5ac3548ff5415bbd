//! The process that started this one, which talks by lines: when it is gone, the work is over too.

use tokio::sync::mpsc;

/// What the parent says on standard input.
pub struct Parent(mpsc::Receiver<String>);

impl Parent {
    /// Listens to it, on a thread that ends with the process.
    pub fn listen() -> Self {
        let (said, heard) = mpsc::channel(1);
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if said.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self(heard)
    }

    /// The next line; `None`: the parent ended, or wants this process to.
    pub async fn line(&mut self) -> Option<String> {
        self.0.recv().await
    }

    /// Waits until the parent has nothing more to say.
    pub async fn gone(&mut self) {
        while self.line().await.is_some() {}
    }
}

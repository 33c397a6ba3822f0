//! What `bench/ingest/run` starts: a sender of signed events, in an open or a closed loop, and a server that only checks signatures,
//! which is what HTTP and the HMAC alone cost.

mod bare;
mod sender;
mod story;

use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Post signed events and print what came of it as JSON
    Send(sender::Send),
    /// Check the signature of each body and answer as Grapevine would, without keeping anything
    Bare(bare::Bare),
}

#[tokio::main(worker_threads = 1)]
async fn main() -> std::io::Result<()> {
    match Command::parse() {
        Command::Send(send) => send.run().await,
        Command::Bare(bare) => bare.run().await,
    }
}

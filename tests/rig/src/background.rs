//! A server on a thread of its own: it outlives the runtime of the test that started it, and ends when it is dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::oneshot;

/// A running server.
#[derive(Debug)]
pub(crate) struct Background {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Listens, on a free loopback port where no address is given, and serves. `prepare` is called in the runtime of
    /// the thread.
    ///
    /// # Errors
    /// When the address cannot be listened on, or `prepare` fails.
    pub(crate) fn start<F, S>(name: &str, address: Option<SocketAddr>, prepare: F) -> anyhow::Result<Self>
    where
        F: FnOnce(tokio::net::TcpListener) -> anyhow::Result<S> + Send + 'static,
        S: Future<Output = ()>,
    {
        let listener = TcpListener::bind(address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()))
            .with_context(|| format!("{name} cannot listen"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let (tell, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(listener, prepare, stopped, &tell))
            .with_context(|| format!("no thread for {name}"))?;
        started.recv().with_context(|| format!("the thread of {name} ended"))??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server has shown itself in the answers already.
            let _ = thread.join();
        }
    }
}

/// The thread: serves until the other end of `stopped` goes.
fn run<F, S>(listener: TcpListener, prepare: F, stopped: oneshot::Receiver<()>, tell: &mpsc::Sender<anyhow::Result<()>>)
where
    F: FnOnce(tokio::net::TcpListener) -> anyhow::Result<S>,
    S: Future<Output = ()>,
{
    let start = || -> anyhow::Result<_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = runtime.block_on(async { prepare(tokio::net::TcpListener::from_std(listener)?) })?;
        Ok((runtime, serving))
    };
    // The receiver waits for exactly this one message.
    match start() {
        Err(error) => drop(tell.send(Err(error))),
        Ok((runtime, serving)) => {
            drop(tell.send(Ok(())));
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        }
    }
}

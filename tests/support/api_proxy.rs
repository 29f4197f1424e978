//! A TCP proxy before the API server, to cut it off and to let it back.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Passes bytes on, or refuses them. Ends with the process.
pub struct ApiProxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    open: bool,
    streams: Vec<TcpStream>,
}

impl ApiProxy {
    /// A proxy to `target`, cut off at first.
    pub fn cut_off(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared { open: false, streams: Vec::new() }));
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut shared = lock(&accepting);
                // Dropping the stream closes it: the API server is away.
                if shared.open
                    && let Ok(server) = TcpStream::connect(target)
                {
                    pass(&client, &server);
                    shared.streams.extend([client, server]);
                }
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the API server be reached.
    pub fn open(&self) {
        lock(&self.shared).open = true;
    }

    /// Cuts every connection, and refuses new ones.
    pub fn cut(&self) {
        let mut shared = lock(&self.shared);
        shared.open = false;
        for stream in shared.streams.drain(..) {
            // It may have ended by itself.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
        thread::spawn(move || {
            // A cut connection is what the proxy is for.
            let _cut = io::copy(&mut from, &mut to);
            let _ended = to.shutdown(Shutdown::Both);
        });
    }
}
